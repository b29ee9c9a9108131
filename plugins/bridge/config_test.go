package bridge

import (
	"fmt"
	"strings"
	"testing"

	types040 "github.com/containernetworking/cni/pkg/types/040"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func parse(t *testing.T, text string) (Config, error) {
	t.Helper()
	k, err := keys.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(&plugin.Request{Command: "ADD", Network: "net", Keys: k})
}

func TestRefusals(t *testing.T) {
	const link = "must be the name of a link: " + plugin.LinkNameRule
	for config, want := range map[string]string{
		`{"bridge":"a/b"}`:                                       `bridge: "a/b": ` + link,
		`{"bridge":"a b"}`:                                       `bridge: "a b": ` + link,
		`{"bridge":"all"}`:                                       `bridge: "all": ` + link,
		`{"bridge":"default"}`:                                   `bridge: "default": ` + link,
		`{"bridge":"br%d"}`:                                      `bridge: "br%d": ` + link,
		"{\"bridge\":\"br\u007f\"}":                              "bridge: \"br\u007f\": " + link,
		`{"bridge":"br\u001b[m"}`:                                `bridge: "br\u001b[m": ` + link,
		`{"bridge":"brà"}`:                                       `bridge: "brà": ` + link,
		`{"bridge":".."}`:                                        `bridge: "..": ` + link,
		`{"bridge":"sixteen-letters-"}`:                          `bridge: "sixteen-letters-": ` + link,
		`{"bridge":7}`:                                           `bridge: 7: must be a string`,
		`{"mtu":-1}`:                                             `mtu: -1: must be a whole number from 0 to 65535`,
		`{"mtu":67}`:                                             `mtu: 67: must be 0, or 68 at least`,
		`{"mtu":65536}`:                                          `mtu: 65536: must be a whole number from 0 to 65535`,
		`{"mtu":"1500"}`:                                         `mtu: "1500": must be a whole number from 0 to 65535`,
		`{"isGateway":"yes"}`:                                    `isGateway: "yes": must be true or false`,
		`{"vlan":4095}`:                                          `vlan: 4095: must be a whole number from 0 to 4094`,
		`{"vlan":-1}`:                                            `vlan: -1: must be a whole number from 0 to 4094`,
		`{"vlanTrunk":{}}`:                                       `vlanTrunk: {}: must be a list`,
		`{"vlanTrunk":[5]}`:                                      `vlanTrunk[0]: 5: must be an object`,
		`{"vlanTrunk":[{"id":0}]}`:                               `vlanTrunk[0].id: 0: must be a whole number from 1 to 4094`,
		`{"vlanTrunk":[{"id":1},{"minID":2}]}`:                   `vlanTrunk[1].minID: 2: must be given together with maxID`,
		`{"vlanTrunk":[{"maxID":2}]}`:                            `vlanTrunk[0].maxID: 2: must be given together with minID`,
		`{"vlanTrunk":[{"minID":3,"maxID":5000}]}`:               `vlanTrunk[0].maxID: 5000: must be a whole number from 1 to 4094`,
		`{"vlanTrunk":[{"minID":0,"maxID":5}]}`:                  `vlanTrunk[0].minID: 0: must be a whole number from 1 to 4094`,
		`{"vlanTrunk":[{"minID":"3","maxID":5}]}`:                `vlanTrunk[0].minID: "3": must be a whole number from 1 to 4094`,
		`{"vlanTrunk":[{"minID":0,"maxID":5000}]}`:               `vlanTrunk[0].minID: 0: must be a whole number from 1 to 4094; vlanTrunk[0].maxID: 5000: must be a whole number from 1 to 4094`,
		`{"vlanTrunk":[{"minID":3,"maxID":2}]}`:                  `vlanTrunk[0].minID: 3: must not be above maxID 2`,
		`{"hairpinMode":true,"promiscMode":true}`:                `hairpinMode: true: cannot be combined with promiscMode`,
		`{"disableContainerInterface":true,"ipam":{"type":"x"}}`: `disableContainerInterface: true: cannot be combined with ipam, whose addresses need the interface up`,
		`{"ipam":{"type":"../x"}}`:                               `ipam.type: "../x": must be a plugin's name, without a path`,
		`{"ipam":"host-local"}`:                                  `ipam: "host-local": must be an object`,
		`{"ipMasqBackend":"ebpf"}`:                               `ipMasqBackend: "ebpf": must be nftables or iptables`,
		`{"ipMasqBackend":""}`:                                   `ipMasqBackend: "": must be nftables or iptables`,
		`{"runtimeConfig":{"mac":"01:00:5e:00:00:01"}}`:          `runtimeConfig.mac: "01:00:5e:00:00:01": must be an Ethernet address that one interface may have, neither zero nor a group's`,
		`{"dns":{"nameservers":"192.0.2.1"}}`:                    `dns.nameservers: "192.0.2.1": must be a list of strings`,
		`{"dns":[]}`:                                             `dns: []: must be an object`,
		`{"vlan":5000,"mtu":-5,"hairpinMode":1,"dns":{"domain":[]}}`: `mtu: -5: must be a whole number from 0 to 65535; hairpinMode: 1: must be true or false; vlan: 5000: must be a whole number from 0 to 4094; dns.domain: []: must be a string`,
	} {
		_, err := parse(t, config)
		if err == nil || err.Error() != want || fault.Code(err) != fault.Config {
			t.Errorf("%s:\n got %v (code %d)\nwant %s", config, err, fault.Code(err), want)
		}
	}
}

// A DEL goes on with what could be read: the bridge, the delegate.
func TestLenient(t *testing.T) {
	c, err := parse(t, `{"bridge":"br7","vlan":5000,"ipam":{"type":"host-local"},"ipMasq":true}`)
	if err == nil || c.Bridge != "br7" || c.IPAM != "host-local" || !c.IPMasq || c.VLAN != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// One plan's result in every version of the protocol.
func TestVersions(t *testing.T) {
	c, err := parse(t, `{"isDefaultGateway":true,"ipam":{"type":"host-local"}}`)
	if err != nil {
		t.Fatal(err)
	}
	ipam, err := plugin.ParseResult([]byte(`{"ips":[{"address":"10.1.0.2/24"},{"address":"fd00::2/64"}]}`), "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	call := attach.Call{Owner: owner.Of("net", "c1", "eth0"), IfName: "eth0", Netns: "/run/netns/c1", Result: ipam}
	p, err := Plan(c, call)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range plugin.Versions() {
		converted, err := p.Result.GetAsVersion(version)
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		back, err := types100.NewResultFromResult(converted)
		if err != nil || converted.Version() != version || len(back.IPs) != 2 || len(back.Routes) != 2 {
			t.Errorf("%s: %+v, %v", version, converted, err)
		}
	}
	old, err := types040.NewResultFromResult(p.Result)
	if err != nil {
		t.Fatal(err)
	}
	want := "4 10.1.0.2/24 10.1.0.1 2; 6 fd00::2/64 fd00::1 2; "
	var got strings.Builder
	for _, ip := range old.IPs {
		fmt.Fprintf(&got, "%s %s %s %d; ", ip.Version, ip.Address.String(), ip.Gateway, *ip.Interface)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("0.4.0 (-want +got):\n%s", diff)
	}
}

// A network without addresses has no form before 0.3.0; the shell then undoes the ADD (B12).
func TestNoAddressBefore030(t *testing.T) {
	c, err := parse(t, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Plan(c, attach.Call{Owner: owner.Of("net", "c1", "eth0"), IfName: "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Result.GetAsVersion("0.2.0"); err == nil {
		t.Errorf("0.2.0: %+v", r)
	}
}
