package e2e

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/space"
)

// bridgeless are networks of plugins that have no bridge of ours: a container of each, c_ and its name.
var bridgeless = map[string]string{
	"pair": `{"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd00:61::/64"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		{"type": "firewall"}, {"type": "tuning", "mtu": 1400},
		{"type": "bandwidth", "ingressRate": 100000000, "ingressBurst": 100000000, "egressRate": 100000000, "egressBurst": 100000000}`,
	"lan": `{"type": "macvlan", "master": "uplink", "ipam": {"type": "host-local", "ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100"}]],
		"routes": [{"dst": "0.0.0.0/0", "gw": "192.0.2.2"}]}}`,
	"tap":   `{"type": "tap", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}`,
	"lent":  `{"type": "host-device", "device": "dev0", "ipam": {"type": "host-local", "subnet": "10.6.0.0/24"}}`,
	"table": `{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}, {"type": "sbr"}`,
}

// dayOfOthers are faults of such, by the network whose container is not as it was made; none: each is.
var dayOfOthers = map[string][2]string{
	"nothing":                     {"", ""},
	"pair: host's end down":       {"pair", "ip link set $(veth c_pair) down"},
	"pair: host's end bare":       {"pair", "ip addr flush dev $(veth c_pair) scope global"},
	"pair: way to it gone":        {"pair", "ip route del 10.61.0.2"},
	"pair: ruleset flushed":       {"pair", "nft flush ruleset"},
	"pair: queue gone":            {"pair", "ip link del $(ip -o link | grep -o 'bwp[0-9a-f]*' | head -n 1)"},
	"pair: MTU set back":          {"pair", "ip -n c_pair link set eth0 mtu 1500"},
	"pair: default route gone":    {"pair", "ip -n c_pair route del default"},
	"pair: neighbour wrong":       {"", "ip neigh replace 10.61.0.2 lladdr 02:00:00:00:00:01 dev $(veth c_pair) nud permanent"},
	"lan: parent down":            {"", "ip link set uplink down"},
	"lan: parent without carrier": {"", "ip -n outside link set eth0 down"},
	"lan: parent gone":            {"lan", "ip link del uplink"},
	"lan: default route astray":   {"lan", "ip -n c_lan route replace default via 192.0.2.77"},
	"lan: interface down":         {"lan", "ip -n c_lan link set eth0 down"},
	"lan: interface bare":         {"lan", "ip -n c_lan addr flush dev eth0"},
	"lan: interface gone":         {"lan", "ip -n c_lan link del eth0"},
	"lan: default route gone":     {"lan", "ip -n c_lan route del default"},
	"lan: reservation gone":       {"lan", "rm /var/lib/cni/networks/lan/192.0.2.100"},
	"tap: interface gone":         {"tap", "ip -n c_tap link del eth0"},
	"tap: interface down":         {"tap", "ip -n c_tap link set eth0 down"},
	"lent: device taken back":     {"lent", "ip -n c_lent link set eth0 netns $$"},
	"lent: device down":           {"lent", "ip -n c_lent link set eth0 down"},
	"lent: what was before torn":  {"lent", "for f in /run/cni/trestle/devices/*.json; do echo '{' > $f; done"},
	"lent: what was before gone":  {"", "rm /run/cni/trestle/devices/*.json"},
	"lent: device bare":           {"lent", "ip -n c_lent addr flush dev eth0"},
	"lent: device renamed":        {"lent", "ip -n c_lent link set eth0 down; ip -n c_lent link set eth0 name eth9"},
	"table: rule gone":            {"table", "ip -n c_table rule del from 10.9.0.2"},
	"table: default route gone":   {"table", "ip -n c_table route del default table 100"},
	"table: its routes are gone":  {"table", "ip -n c_table route flush table 100"},
	"namespaces' names are moved": {"", "touch /run/netns/x; mount --bind /run/netns/c_lan /run/netns/x"},
}

// othersFlows are who asks whom of such.
var othersFlows = [][2]string{{"c_pair", "192.0.2.2:80"}, {"c_lan", "192.0.2.2:80"}}

// TestDayOfOthers plants one fault at a time. Of each flow, trace says what becomes of it. Who suffers is what CHECK says; ls says the same of each, and doctor has something
// to say where somebody does, or is not answered.
func TestDayOfOthers(t *testing.T) {
	t.Parallel()
	if !space.Tun() {
		delete(bridgeless, "tap")
	}
	for name, fault := range dayOfOthers {
		if _, is := bridgeless[fault[0]]; fault[0] != "" && !is {
			continue
		}
		t.Run(strings.NewReplacer(" ", "-", ":", "").Replace(name), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				shell(t, `mkdir -p /run/net.d; ln -s "$1" /run/bin; echo 1 > /proc/sys/net/ipv4/ip_forward; ip netns add outside
ip link add uplink type veth peer name eth0 netns outside; ip -n outside link set eth0 up; ip -n outside addr add 192.0.2.2/24 dev eth0; ip addr add 192.0.2.1/24 dev uplink; ip link set uplink up
ip route add default via 192.0.2.2; ip link add dev0 type veth peer name far0; ip link set far0 up`, os.Getenv(pluginsVar))
				for network, plugins := range bridgeless {
					must(t, os.WriteFile("/run/net.d/"+network+".conflist", []byte(`{"cniVersion": "1.0.0", "name": "`+network+`", "plugins": [`+plugins+`]}`), 0o600))
					shell(t, "ip netns add c_"+network+"; ip -n c_"+network+" link set lo up; cnitool add "+network+" /run/netns/c_"+network+" >/dev/null")
				}
				s := &street{T: t, servers: make(map[string][]io.Closer)}
				s.serve("outside", "tcp", ":80")
				shell(t, veth+fault[1])
				lost := name != "pair: queue gone" && traffic(t, othersFlows) // trace judges routes and rules, and follows no queue
				suffers(t, fault[0])
				found := (planted{}).examined(t)
				if (fault[0] != "" || lost) != (len(found) > 0) || fault[0] != "" && doctor.Status(found) != 2 {
					t.Errorf("doctor says %+v", found)
				}
			})
		})
	}
}

// suffers wants CHECK and ls to name the network's container, and no other.
func suffers(t *testing.T, network string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), "ls", "--json").Output()
	must(t, err)
	var reply struct{ Attachments []observe.Attachment }
	must(t, json.Unmarshal(out, &reply))
	if len(reply.Attachments) != len(bridgeless) {
		t.Errorf("%d attachments, want %d", len(reply.Attachments), len(bridgeless))
	}
	for _, a := range reply.Attachments {
		want := map[bool]observe.State{true: observe.Broken, false: observe.Whole}[a.Network == network]
		cmd := exec.Command(filepath.Join(os.Getenv(toolsVar), "cnitool"), "check", a.Network, a.Netns)
		cmd.Env = append(os.Environ(), "CNI_PATH=/run/bin", "NETCONFPATH=/run/net.d")
		said, err := cmd.CombinedOutput()
		if a.State != want || (err != nil) != (want == observe.Broken) {
			t.Errorf("%s: ls says %s %v, and CHECK %v %s; want %s", a.ID, a.State, a.Why, err, said, want)
		}
	}
}
