package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// laterFirst make the interface, each on links that are there.
var laterFirst = map[string]string{
	"ptp":         `"type": "ptp", "mtu": 1400`,
	"bridge":      `"type": "bridge", "bridge": "br0", "isGateway": true, "mtu": 1400`,
	"macvlan":     `"type": "macvlan", "master": "wire", "mtu": 1400`,
	"tap":         `"type": "tap", "mtu": 1400`,
	"host-device": `"type": "host-device", "device": "nic"`,
}

// laterThen change what the first has made.
var laterThen = map[string]string{
	"mtu":     `"type": "tuning", "mtu": 1300`,
	"all":     `"type": "tuning", "mac": "02:00:00:00:00:55", "promisc": true, "allmulti": true, "txQLen": 5, "sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "0"}`,
	"sourced": `"type": "sbr"`,
	"hinted":  `"type": "sbr", "addSourceHints": true`,
}

// TestLaterPlugins: no CHECK misses what a later plugin of the same list has changed, but what anybody else has; and a DEL takes it all back.
func TestLaterPlugins(t *testing.T) {
	for first, keys := range laterFirst {
		if first == "tap" && !space.Tun() { // who may not is told so: tap.txtar
			continue
		}
		for _, version := range []string{"1.1.0", "1.0.0"} { // the results of the latter tell no MTU
			t.Run(first+" "+version, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { changedLater(t, first, keys, version) })
			})
		}
	}
}

// changedLater changes the interface by each. Devices and taps have no carrier, so their IPv6 addresses are nobody's yet.
func changedLater(t *testing.T, first, keys, version string) {
	nstest.Namespace(t, "c1")
	shell(t, `ip link add wire type veth peer name far; ip link set wire up; ip link set far up; ip link add nic type veth peer name port
		ip netns exec c1 sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/dad_transmits'`)
	one := fmt.Sprintf(`{"cniVersion": %q, "name": "net", %s, "ipam": {"type": "static", "addresses": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"},
		{"address": "fd00:1::2/64", "gateway": "fd00:1::1"}], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}`, version, keys)
	succeed(t, "ADD", first, "c1", one)
	succeed(t, "DEL", first, "c1", one)
	before := snapshot.Take(t, netnsDir+"c1")
	for name, then := range laterThen {
		two := `{"cniVersion": "` + version + `", "name": "net", ` + then + `}`
		second := strings.Split(then, `"`)[3]
		result := succeed(t, "ADD", first, "c1", one).Out
		result = succeed(t, "ADD", second, "c1", after(two, result)).Out
		succeed(t, "CHECK", first, "c1", after(one, result))
		succeed(t, "CHECK", second, "c1", after(two, result))
		succeed(t, "DEL", second, "c1", two)
		succeed(t, "DEL", first, "c1", one)
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("%s, then %s: not as it was:\n%s", first, name, diff)
		}
	}
	if strings.Contains(keys, "mtu") {
		result := succeed(t, "ADD", first, "c1", one).Out
		shell(t, "ip -n c1 link set eth0 mtu 1280")
		if got, err := invoke("CHECK", first, "c1", after(one, result)); err != nil || !strings.Contains(got.Msg, "mtu of eth0: expected 1400, found 1280") {
			t.Errorf("%s: nobody but a process in the container has changed the MTU, and CHECK says: %v, %s", first, err, got.Msg)
		}
	}
}

// TestWidths gives interfaces addresses of all widths: a CHECK looks for no route that the kernel does not make.
func TestWidths(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		shell(t, `ip link add wire type veth peer name far; ip link set wire up; ip link set far up; ip link add nic type veth peer name port
			ip netns exec c1 sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/dad_transmits'`)
		for _, addresses := range []string{`{"address": "10.1.0.2/32"}`, `{"address": "10.1.0.2/31"}`, `{"address": "10.1.0.2/1"}`, `{"address": "0.1.0.2/8"}`,
			`{"address": "10.1.0.2/32"}, {"address": "10.1.0.3/24"}, {"address": "10.1.0.4/24"}`, `{"address": "fd00::2/128"}`, `{"address": "fd00::2/127"}`, `{"address": "fd00::2/1"}`} {
			for first, keys := range map[string]string{"macvlan": `"master": "wire"`, "tap": `"mtu": 0`, "host-device": `"device": "nic"`, "bridge": `"bridge": "br0"`, "ptp": `"mtu": 0`} {
				if first == "tap" && !space.Tun() {
					continue
				}
				config := fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "net", "type": %q, %s, "ipam": {"type": "static", "addresses": [%s]}}`, first, keys, addresses)
				got, err := invoke("ADD", first, "c1", config)
				must(t, err)
				if got.Status != 0 { // no plugin gives an address that no host can have
					if !strings.Contains(addresses, "0.1.0.2") {
						t.Errorf("%s, %s: %s", first, addresses, got.Msg)
					}
					continue
				}
				if got, err = invoke("CHECK", first, "c1", after(config, got.Out)); err != nil || got.Status != 0 {
					t.Errorf("%s, %s: CHECK: %v: %s", first, addresses, err, got.Msg)
				}
				succeed(t, "DEL", first, "c1", config)
			}
		}
	})
}

// after is the configuration, closed by a brace, of a plugin that comes after others, with their result.
func after(config string, result []byte) string {
	return strings.TrimSuffix(config, "}") + `, "prevResult": ` + string(result) + "}"
}
