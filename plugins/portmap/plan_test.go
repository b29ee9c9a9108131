package portmap

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/golden"
)

var update = golden.Update()

// TestPlans shows for each key, and for each kind of mapping, the plan that comes of it. The result must pass through as it came.
func TestPlans(t *testing.T) {
	golden.Run(t, update, func(t *testing.T, c golden.Case) string {
		config, err := Parse(c.Request)
		if err != nil {
			return "refused: " + strings.ReplaceAll(err.Error(), "; ", "\n  ") + "\n"
		}
		call := attach.Call{Owner: owner.Of(c.Request.Network, c.Request.ContainerID, c.Request.IfName), IfName: c.Request.IfName, Netns: c.Request.Netns, Result: c.Result}
		p, err := Plan(config, call)
		if err != nil {
			return "refused: " + err.Error() + "\n"
		}
		if p.Result != c.Result {
			t.Error("the result is not the one that came")
		}
		call.Result = nil
		bare, err := Plan(config, call)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(golden.Kinds(p), golden.Kinds(bare)); diff != "" {
			t.Errorf("kinds of steps without a result (-with +without):\n%s", diff)
		}
		p.Result = nil
		return golden.Print(p)
	})
}

func TestRefusals(t *testing.T) {
	const number = "must be a whole number from 1 to 65535"
	ports := func(list string) string { return `{"runtimeConfig":{"portMappings":` + list + `}}` }
	for config, want := range map[string]string{
		`{"backend":"iptables","conditionsV4":["ip","saddr","10.0.0.1"]}`:    `conditionsV4: ["ip","saddr","10.0.0.1"]: must be words of iptables, as the backend is: begin with - or !`,
		`{"backend":"iptables","conditionsV6":["-s","::1\nCOMMIT"]}`:         `conditionsV6: ["-s","::1\nCOMMIT"]: must have no line breaks in it`,
		`{"externalSetMarkChain":"A B"}`:                                     `externalSetMarkChain: "A B": must be the name of a chain: 1 to 28 bytes without white space and quotes`,
		`{"backend":"ipvs"}`:                                                 `backend: "ipvs": must be nftables or iptables`,
		`{"snat":"no"}`:                                                      `snat: "no": must be true or false`,
		`{"markMasqBit":32}`:                                                 `markMasqBit: 32: must be a whole number from 0 to 31`,
		`{"backend":"nftables","conditionsV4":["-s","10.0.0.1"]}`:            `conditionsV4: ["-s","10.0.0.1"]: must be words of nftables, as the backend is`,
		`{"conditionsV4":["!","-o","eth0"]}`:                                 `conditionsV4: ["!","-o","eth0"]: "-o": not known here: interface, source, destination and mark are`,
		`{"conditionsV4":["ip","saddr","::1"],"conditionsV6":["ip6 ttl 1"]}`: `conditionsV4: ["ip","saddr","::1"]: "::1": must be an IPv4 address or subnet; conditionsV6: ["ip6 ttl 1"]: "ttl": must be saddr or daddr`,
		`{"conditionsV6":"x"}`:                                               `conditionsV6: "x": must be a list of strings`,
		`{"markMasqBit":3,"externalSetMarkChain":"KUBE"}`:                    `externalSetMarkChain: "KUBE": cannot be combined with markMasqBit`,
		ports(`{}`):   `runtimeConfig.portMappings: {}: must be a list`,
		ports(`[80]`): `runtimeConfig.portMappings[0]: 80: must be an object; runtimeConfig.portMappings[0].hostPort: null: ` + number + `; runtimeConfig.portMappings[0].containerPort: null: ` + number + `; runtimeConfig.portMappings[0].protocol: "": must be tcp, udp or sctp`,
		ports(`[{"hostPort":0,"containerPort":80,"protocol":"tcp"}]`):                                                               `runtimeConfig.portMappings[0].hostPort: 0: ` + number,
		ports(`[{"hostPort":8080,"containerPort":65536,"protocol":"tcp"}]`):                                                         `runtimeConfig.portMappings[0].containerPort: 65536: ` + number,
		ports(`[{"hostPort":-1,"containerPort":80,"protocol":"tcp"}]`):                                                              `runtimeConfig.portMappings[0].hostPort: -1: ` + number,
		ports(`[{"hostPort":"80","containerPort":80,"protocol":"tcp"}]`):                                                            `runtimeConfig.portMappings[0].hostPort: "80": ` + number,
		ports(`[{"hostPort":80,"containerPort":80}]`):                                                                               `runtimeConfig.portMappings[0].protocol: "": must be tcp, udp or sctp`,
		ports(`[{"hostPort":80,"containerPort":80,"protocol":"icmp"}]`):                                                             `runtimeConfig.portMappings[0].protocol: "icmp": must be tcp, udp or sctp`,
		ports(`[{"hostPort":80,"containerPort":80,"protocol":"tcp","hostIP":"host"}]`):                                              `runtimeConfig.portMappings[0].hostIP: "host": must be an IP address`,
		ports(`[{"hostPort":80,"containerPort":80,"protocol":"tcp","hostIP":"10.0.0.0/8"}]`):                                        `runtimeConfig.portMappings[0].hostIP: "10.0.0.0/8": must be an IP address`,
		ports(`[{"hostPort":0,"containerPort":80,"protocol":"tcp"},{"hostPort":1,"containerPort":80,"protocol":"x","hostIP":"y"}]`): `runtimeConfig.portMappings[0].hostPort: 0: ` + number + `; runtimeConfig.portMappings[1].protocol: "x": must be tcp, udp or sctp; runtimeConfig.portMappings[1].hostIP: "y": must be an IP address`,
	} {
		k, err := keys.Parse([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(&plugin.Request{Command: "ADD", Network: "net", Keys: k})
		if err == nil || err.Error() != want || fault.Code(err) != fault.Config {
			t.Errorf("%s:\n got %v (code %d)\nwant %s", config, err, fault.Code(err), want)
		}
	}
}

func TestKeysAreDocumented(t *testing.T) { golden.Documented(t) }
