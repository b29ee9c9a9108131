package e2e

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// suiteFault is something that is broken of what firewall, tuning, bandwidth or ptp made.
type suiteFault struct {
	plant string
	id    string // of the check that finds it
	says  string // a part of what is said
	stays bool   // no fix is offered
}

var suiteFaults = map[string]suiteFault{
	"nothing":              {},
	"rules flushed":        {"nft flush chain inet trestle_forward forward", "drift", "chain forward", false},
	"addresses flushed":    {"nft flush set inet trestle_forward pass4", "drift", "address that passes", false},
	"ports flushed":        {"nft flush set bridge trestle_forward alone", "drift", "isolated port", false},
	"segments flushed":     {"nft flush set inet trestle_forward isolated", "drift", "segment", false},
	"table deleted":        {"nft delete table inet trestle_forward", "drift", "table inet trestle_forward", false},
	"anchor gone":          {"iptables-nft -D FORWARD -m mark --mark 0x1000000/0x1000000 -m comment --comment 'trestle anchor' -j ACCEPT", "drift", "trestle anchor", false},
	"anchor behind a drop": {"iptables-nft -I FORWARD 1 -j REJECT", "drift", "before all that drops", false},
	"jump gone":            {"iptables-nft -D FORWARD -m comment --comment 'CNI firewall plugin rules' -j CNI-FORWARD", "drift", "CNI-FORWARD", false},
	"jump moved": {`iptables-nft -D FORWARD -m comment --comment 'CNI firewall plugin rules' -j CNI-FORWARD
		iptables-nft -A FORWARD -j DROP; iptables-nft -A FORWARD -m comment --comment 'CNI firewall plugin rules' -j CNI-FORWARD`, "drift", "CNI-FORWARD", false},
	"chain flushed":  {"iptables-nft -F CNI-FORWARD", "drift", "CNI-FORWARD", false},
	"IFB down":       {"ip link set $(ifb) down", "drift", "rate from eth0", false},
	"IFB deleted":    {"ip link del $(ifb)", "drift", "rate from eth0", false},
	"shaper deleted": {"tc qdisc del dev $(veth web) root", "drift", "rate to eth0", false},
	"sysctl changed": {"ip netns exec web sysctl -qw net.ipv4.conf.eth0.arp_filter=0", "drift", "arp_filter", false},
	"MTU changed":    {"ip -n web link set eth0 mtu 1500", "drift", "mtu 1400", false},
	"backup torn":    {`for f in /run/cni/tuning/*_eth0.json; do echo '{"mt' > $f; done`, "drift", "torn", true},
	"pair down":      {"ip link set $(veth pair) down", "link-down", "is down", false},
	"pair's route":   {"ip route del 10.3.0.2", "drift", "way to 10.3.0.2", false},
}

const ifb = veth + `ifb() { ip -o link show type ifb | sed 's/^[0-9]*: \([^:]*\):.*/\1/'; }
`

// suiteFlows are who asks whom, and are answered where nothing is wrong.
var suiteFlows = [][2]string{{"web", "192.0.2.2:80"}, {"two", "192.0.2.2:80"}, {"pair", "192.0.2.2:80"}, {"old", "192.0.2.2:80"}, {"pair", "10.1.0.2:80"},
	{"two", "10.1.0.2:80"}, {"two", "10.2.0.3:80"}}

// TestSuiteFaults plants a fault at a time in what firewall, tuning, bandwidth and ptp made. Doctor names it, once and nothing else; its fix cures it; and
// of each flow trace says what becomes of it, but where it is led to a queue that is gone.
func TestSuiteFaults(t *testing.T) {
	for name, f := range suiteFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				setUp, err := filepath.Abs("testdata/suite.sh")
				must(t, err)
				shell(t, ". "+setUp, os.Getenv(pluginsVar))
				s := &street{T: t, servers: make(map[string][]io.Closer)}
				for _, server := range []string{"outside", "web", "three"} {
					s.serve(server, "tcp", ":80")
				}
				shell(t, ifb+f.plant)
				if !strings.HasPrefix(f.says, "rate from") { // trace judges routes and rules, and follows no queue
					traffic(t, suiteFlows)
				}
				f.found(t)
			})
		})
	}
}

// found holds what doctor says of the fault, and after its fix.
func (f suiteFault) found(t *testing.T) {
	t.Helper()
	found := (planted{}).examined(t)
	for _, one := range found {
		if one.ID != f.id || !strings.Contains(one.What, f.says) || (one.Fix == nil) != f.stays {
			t.Errorf("found %s of %s: %s; fix %v", one.ID, one.Object, one.What, one.Fix)
		}
	}
	if len(found) == 0 && f.id != "" {
		t.Error("nothing was found")
	}
	if f.stays || f.id == "" {
		return
	}
	var out []byte
	for range 2 { // what a link took along shows once that is up
		out = (planted{}).examine(t, "--fix", "--yes")
	}
	if found := (planted{}).examined(t); len(found) > 0 {
		t.Errorf("after the fix: %+v\n%s", found, out)
	}
}
