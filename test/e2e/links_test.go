package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// form is a network of a plugin whose interface is one link.
type form struct {
	plugin, keys string
	young        bool // 1.1.1 has no such plugin
	chained      bool // it comes after the plugin bridge
}

const reached = `"ipam": {"type": "static", "addresses": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::2/64"}], "routes": [{"dst": "192.0.2.0/24", "gw": "10.1.0.1"}]}`

// TestLinksInterchange lets each suite check and delete what the other one has made, of links that every kernel has.
func TestLinksInterchange(t *testing.T) {
	interchangeLinks(t, map[string]form{
		"macvlan":             {plugin: "macvlan", keys: `"master": "lan0", ` + reached},
		"macvlan by route":    {plugin: "macvlan", keys: reached},
		"macvlan, every key":  {plugin: "macvlan", keys: `"master": "lan0", "mode": "vepa", "mtu": 1400, "mac": "02:00:00:00:00:01", "dns": {"nameservers": ["10.1.0.1"]}, ` + reached},
		"macvlan, bare":       {plugin: "macvlan", keys: `"master": "lan0", "mode": "private"`},
		"macvlan, passthru":   {plugin: "macvlan", keys: `"master": "lan0", "mode": "passthru", ` + reached},
		"host-device":         {plugin: "host-device", keys: `"device": "dev0", ` + reached},
		"host-device, bare":   {plugin: "host-device", keys: `"hwaddr": "02:00:00:00:00:07"`},
		"tap":                 {plugin: "tap", keys: `"mtu": 1400, "mac": "02:00:00:00:00:01", ` + reached, young: true},
		"tap, of an owner":    {plugin: "tap", keys: `"owner": 0, "group": 0, ` + reached, young: true},
		"tap, of many queues": {plugin: "tap", keys: `"owner": 0, "group": 0, "multiQueue": true`, young: true},
		"tap, on a bridge":    {plugin: "tap", keys: `"bridge": "inner0"`, young: true},
	})
}

func interchangeLinks(t *testing.T, forms map[string]form) {
	for _, s := range suites() {
		for name, f := range forms {
			if f.young && s.blind || f.plugin == "tap" && !space.Tun() {
				continue
			}
			t.Run(filepath.Base(s.dir)+"/"+name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { s.interchangeLink(t, f) })
			})
		}
	}
}

// interchangeLink has each suite undo the other's work on a host with a wire, a device to lend, and a bridge in the container.
func (s suite) interchangeLink(t *testing.T, f form) {
	nstest.Namespace(t, "c1")
	must(t, nstest.In(netnsDir+"c1", func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/default/dad_transmits", []byte("0"), 0o644) }))
	out, err := exec.Command("sh", "-ec", `ip link add lan0 type veth peer name lan0-far; ip link set lan0-far up; ip link set lan0 up
		ip addr add 192.0.2.1/24 dev lan0; ip route add default via 192.0.2.2
		ip link add dev0 address 02:00:00:00:00:07 type veth peer name dev0-far; ip link set dev0-far up
		ip -n c1 link add inner0 address 02:00:00:00:00:09 type bridge; ip -n c1 link set inner0 up`).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := `{"cniVersion": "1.0.0", "name": "net", "type": "` + f.plugin + `", ` + f.keys + `}`
	if f.chained {
		prev := succeed(t, "ADD", "bridge", "c1", network(`"cniVersion": "1.0.0", "isDefaultGateway": true, `+hostLocal(subnet))).Out
		config = with(config, prev)
	}
	before := snapshot.Take(t, netnsDir+"c1")
	same := func(whose string) {
		t.Helper()
		now := strings.ReplaceAll(snapshot.Take(t, netnsDir+"c1"), ` alias "dev0"`, "") // 1.1.1 leaves it there
		lost := func(line string) bool {                                                // a DEL of theirs does not give it back: a route, and a setting that goes with the interface
			return f.chained && (strings.Contains(line, "0.0.0.0/0 via 10.1.0.1 dev eth0") || whose != "our" && strings.Contains(line, "/eth0/arp_ignore "))
		}
		if diff := snapshot.Diff(snapshot.Without(before, lost), snapshot.Without(now, lost)); diff != "" {
			t.Errorf("after %s DEL:\n%s", whose, diff)
		}
	}
	ours := succeed(t, "ADD", f.plugin, "c1", config).Out
	s.call(t, "CHECK", f.plugin, "c1", with(config, ours))
	s.call(t, "DEL", f.plugin, "c1", with(config, ours))
	same("their")
	succeed(t, "DEL", f.plugin, "c1", with(config, ours))
	same("their, and then our")

	theirs := s.call(t, "ADD", f.plugin, "c1", config)
	if diff := cmp.Diff(linkResult(t, theirs), linkResult(t, ours)); diff != "" {
		t.Errorf("the result (-theirs +ours):\n%s", diff)
	}
	succeed(t, "CHECK", f.plugin, "c1", with(config, theirs))
	succeed(t, "DEL", f.plugin, "c1", with(config, theirs))
	same("our")

	s.call(t, "ADD", f.plugin, "c1", config)
	succeed(t, "DEL", f.plugin, "c1", config) // of which no result is known
	same("our bare")
}

// TestNetworkInterchange does the same with a device that takes the host's network of it along, which 1.10.0 knows: either finds what the other made, and both make the same.
func TestNetworkInterchange(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		const config = `{"cniVersion": "1.1.0", "name": "net", "type": "host-device", "device": "dev0", "useInterfaceNetwork": true}`
		const network = `ip link set dev0 up; ip addr add 10.77.0.5/24 dev dev0; ip addr add fd77::5/64 dev dev0 nodad
			ip route add 198.51.100.0/24 via 10.77.0.1 dev dev0 mtu 1400; ip route add 203.0.113.0/24 via 192.0.2.77 dev dev0 onlink; ip -6 route add 2001:db8:5::/48 via fd77::1 dev dev0 metric 7`
		s := suite{dir: reference.Newest.Dir}
		nstest.Namespace(t, "c1")
		shell(t, `ip link add dev0 type veth peer name far0; ip link set far0 up; `+network)
		state := func() string {
			return runIn(t, "c1", "sh", "-c", "ip -brief addr show eth0; ip route; ip -6 route | grep -v fe80")
		}
		ours := succeed(t, "ADD", "host-device", "c1", config).Out
		has := state()
		s.call(t, "CHECK", "host-device", "c1", with(config, ours))
		s.call(t, "DEL", "host-device", "c1", with(config, ours))
		succeed(t, "DEL", "host-device", "c1", config)

		shell(t, network)
		theirs := s.call(t, "ADD", "host-device", "c1", config)
		told := linkResult(t, ours)
		if first := told["routes"].([]any)[0].(map[string]any); first["mtu"] != float64(1400) { // which theirs does not say
			t.Errorf("the first route is told as %v", first)
		} else {
			delete(first, "mtu")
		}
		if diff := cmp.Diff(linkResult(t, theirs), told); diff != "" {
			t.Errorf("the result (-theirs +ours):\n%s", diff)
		}
		if diff := cmp.Diff(state(), has); diff != "" {
			t.Errorf("in the container (-theirs +ours):\n%s", diff)
		}
		succeed(t, "CHECK", "host-device", "c1", with(config, theirs))
		succeed(t, "DEL", "host-device", "c1", with(config, theirs))
		shell(t, "ip link show dev0")
	})
}

// with adds the result to a configuration, in the place of one that is there.
func with(config string, result []byte) string {
	config, _, _ = strings.Cut(config, `, "prevResult"`)
	return strings.TrimSuffix(config, "}") + `, "prevResult": ` + string(result) + `}`
}

// linkResult is what a result says, less the Ethernet addresses that were drawn, and an empty dns, which is none.
func linkResult(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var result map[string]any
	must(t, json.Unmarshal(text, &result))
	if dns, _ := result["dns"].(map[string]any); len(dns) == 0 {
		delete(result, "dns")
	}
	for _, link := range result["interfaces"].([]any) {
		delete(link.(map[string]any), "mac")
	}
	return result
}
