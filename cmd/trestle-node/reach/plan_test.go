package reach

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
)

func addrs(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func block(prefix, node string, epoch int64, via ...string) agent.Neighbour {
	return agent.Neighbour{Block: netip.MustParsePrefix(prefix), Node: node, Epoch: epoch, Via: addrs(via...)}
}

// The host n1 among others: n2 is on its link, n3 behind a router, n4 says nothing of where it is, n5 says this host's own address.
var others = []agent.Neighbour{
	block("10.64.0.0/26", "n1", 3, "192.0.2.1"), block("10.64.0.64/26", "n1", 4, "192.0.2.1"), block("fd00::/64", "n1", 5, "192.0.2.1"),
	block("10.64.1.0/26", "n2", 6, "192.0.2.2", "2001:db8::2"), block("fd00:0:0:1::/64", "n2", 7, "192.0.2.2", "2001:db8::2"),
	block("10.64.2.0/26", "n3", 8, "198.51.100.3"), block("fd00:0:0:2::/64", "n3", 9, "198.51.100.3"),
	block("10.64.3.0/26", "n4", 10), block("10.64.4.0/26", "n5", 11, "192.0.2.1"),
	block("192.0.2.0/29", "n2", 13, "192.0.2.2"), block("10.0.0.0/24", "n6", 14, "10.0.0.5"), // pools in which hosts are
	block("10.64.5.0/26", "n2", 12, "192.0.2.2"), block("10.64.5.0/26", "n3", 2, "198.51.100.3"), // moved from n3, which is heard late
}

var ground = Ground{Tunnel: 7, Paths: map[netip.Addr]Path{
	netip.MustParseAddr("192.0.2.1"):    {Link: 1, Local: true},
	netip.MustParseAddr("192.0.2.2"):    {Link: 2, Near: true},
	netip.MustParseAddr("2001:db8::2"):  {Link: 2, Near: true},
	netip.MustParseAddr("198.51.100.3"): {Link: 2},
}}

func conf(mode Mode) Config {
	return Config{Network: "pods", Node: "n1", Mode: mode, Local: netip.MustParseAddr("192.0.2.1"), Protocol: Protocol, VNI: 118, Port: 4789}
}

// What each mode wants of the kernel, and what it cannot reach, and how it gets there from what another mode wanted.
func TestGolden(t *testing.T) {
	var out strings.Builder
	have := newSet()
	for _, mode := range []Mode{Direct, Auto, VXLAN, None} {
		c := conf(mode)
		var want Set
		var complaints []string
		if mode == None {
			want = newSet()
		} else {
			want, complaints = c.plan(others, ground)
		}
		out.WriteString("to " + string(mode) + "\n")
		for _, line := range strings.Split(Diff(have, want).String(), "; ") {
			out.WriteString("  " + line + "\n")
		}
		for _, text := range complaints {
			out.WriteString("  ! " + text + "\n")
		}
		if n := Diff(want, want).Len(); n != 0 {
			t.Errorf("%s: %d changes from what is wanted to itself", mode, n)
		}
		have = want
	}
	want, err := os.ReadFile("testdata/modes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got:\n%s", out.String())
	}
}

// A host's end of the tunnel has one Ethernet address everywhere, of one station, and no two hosts have one.
func TestEnds(t *testing.T) {
	known := make(map[MAC]string)
	for _, node := range []string{"n1", "n2", "n3", "n11", "a", "b"} {
		for _, network := range []string{"pods", "other"} {
			c := Config{Network: network}
			mac := c.end(node)
			if mac[0]&3 != 2 || known[mac] != "" {
				t.Errorf("%s of %s: %s, which %q has, too", node, network, mac, known[mac])
			}
			known[mac] = node
		}
	}
}

// A route of somebody else's to the same block is left alone, and told; unless ours was there first.
func TestForeign(t *testing.T) {
	c := conf(Direct)
	want, _ := c.plan(others, ground)
	n := len(want.Routes)
	foreign := map[netip.Prefix]int{netip.MustParsePrefix("10.64.1.0/26"): 3}
	have := newSet()
	for route := range want.Routes {
		have.Routes[route] = true
	}
	if told := withhold(want, have, foreign); len(told) != 0 || len(want.Routes) != n {
		t.Errorf("ours was first: %v", told)
	}
	if told := withhold(want, newSet(), foreign); len(told) != 1 || len(want.Routes) != n-1 {
		t.Errorf("theirs was first: %v", told)
	}
}
