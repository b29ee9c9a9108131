package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/trace"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

// onParent is a way between containers, one (192.0.2.11) and two (192.0.2.12), whose links hang on the host's uplink, the host, and who is outside.
type onParent struct {
	plugin, keys, plant, from, to string
	outcome                       trace.Outcome
	why                           string
}

// TestTraceOnParents asks trace, and has it send a packet: both must come to the same.
func TestTraceOnParents(t *testing.T) {
	const one, outside, host = "192.0.2.11:80", "192.0.2.2:80", "192.0.2.1:80"
	traceOnParents(t, map[string]onParent{
		"neighbours":            {"macvlan", "", "", "two", one, trace.Reachable, ""},
		"out":                   {"macvlan", "", "", "two", outside, trace.Reachable, ""},
		"in":                    {"macvlan", "", "", "outside", one, trace.Reachable, ""},
		"nobody listens":        {"macvlan", "", "", "outside", "192.0.2.11:81", trace.Refused, "nothing listens"},
		"to the host":           {"macvlan", "", "", "two", host, trace.Dropped, "uplink has 192.0.2.1, and the kernel keeps a link and those that hang on it apart"},
		"from the host":         {"macvlan", "", "", "host", one, trace.Dropped, "hangs on uplink, and the kernel keeps the two apart"},
		"to the host, shim":     {"macvlan", `, "hostShim": true`, "", "two", host, trace.Reachable, ""},
		"from the host, shim":   {"macvlan", `, "hostShim": true`, "", "host", one, trace.Reachable, ""},
		"neighbours, shim":      {"macvlan", `, "hostShim": true`, "", "two", one, trace.Reachable, ""},
		"private":               {"macvlan", `, "mode": "private"`, "", "two", one, trace.Dropped, "kept apart (mode private)"},
		"by a switch":           {"macvlan", `, "mode": "vepa"`, "", "two", one, trace.Dropped, "nobody at eth0 answers for 192.0.2.11"},
		"parent down":           {"macvlan", "", "ip link set uplink down", "two", one, trace.Dropped, "uplink, on which eth0 hangs, is down"},
		"its own link down":     {"macvlan", "", "ip -n one link set eth0 down", "two", one, trace.Dropped, ""},
		"a rule of the host's":  {"macvlan", "", "iptables-nft -P FORWARD DROP; iptables-nft -A INPUT -j DROP", "two", one, trace.Reachable, ""},
		"a rule in the target":  {"macvlan", "", "ip netns exec one iptables-nft -A INPUT -p tcp -j DROP", "two", one, trace.Dropped, "chain INPUT of ip filter"},
		"a rule on the parent":  {"macvlan", "", "nft 'add table netdev x; add chain netdev x c { type filter hook ingress device uplink priority 0; }; add rule netdev x c drop'", "outside", one, trace.Dropped, "chain c of netdev x"},
		"nobody has it":         {"macvlan", "", "", "two", "192.0.2.77:80", trace.Dropped, "nobody at eth0 answers for 192.0.2.77"},
		"the device of another": {"host-device", "", "", "one", "192.0.2.77:80", trace.Dropped, ""},
	})
}

func traceOnParents(t *testing.T, ways map[string]onParent) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { w.hold(t) })
		})
	}
}

func (w onParent) hold(t *testing.T) {
	s := newStreet(t)
	for i, name := range []string{"one", "two"} {
		s.container(name)
		link := `"master": "uplink"`
		if w.plugin == "host-device" {
			shell(t, fmt.Sprintf("ip link add dev%d type veth peer name far%d; ip link set far%d up", i, i, i))
			link = fmt.Sprintf(`"device": "dev%d"`, i)
		}
		succeed(t, "ADD", w.plugin, name, fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "net", "type": %q, %s, "ipam": {"type": "static", "addresses": [{"address": "192.0.2.%d/24"}]}%s}`,
			w.plugin, link, 11+i, strings.ReplaceAll(w.keys, "NUMBER", fmt.Sprint(5+i))))
	}
	for _, name := range []string{"one", "host", outsider} {
		must(t, in(name, func() error {
			server, err := peer.Serve(name, "tcp4", "0.0.0.0:80")
			if err == nil {
				t.Cleanup(func() { server.Close() })
			}
			return err
		}))
	}
	shell(t, w.plant)
	a := traced(t, w.from, w.to, "--live")
	if a.Outcome != w.outcome || !strings.Contains(a.Why, w.why) {
		t.Errorf("%s: %s, want %s: %s", a.Outcome, a.Why, w.outcome, w.why)
	}
	if (a.Live.Outcome == trace.Reachable) != (w.outcome == trace.Reachable) {
		t.Errorf("a real packet: %+v", a.Live)
	}
}
