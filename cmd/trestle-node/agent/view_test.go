package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// nodeOf is a Node of that age, younger with a larger number; its CIDRs are words.
func nodeOf(name string, born int64, cidrs string) kube.Node {
	n := kube.Node{Name: name, Created: time.Unix(born, 0), Via: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	for _, text := range strings.Fields(cidrs) {
		if cidr, err := netip.ParsePrefix(text); err == nil {
			n.CIDRs = append(n.CIDRs, cidr)
		} else {
			n.Wrong = text
		}
	}
	return n
}

// cluster is what Nodes' CIDRs are parts of.
var cluster = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/16")}

// What the host "me", born at 10, makes of its cluster: what it hands out of, whose blocks are reachable, and of what it complains.
func TestView(t *testing.T) {
	me := func(cidrs string) kube.Node { return nodeOf("me", 10, cidrs) }
	for name, c := range map[string]struct {
		nodes   []kube.Node
		has     string
		reaches string
		code    uint
		trouble string
	}{
		"alone":              {[]kube.Node{me("10.0.1.0/24")}, "[10.0.1.0/24]", "me", 0, ""},
		"two families":       {[]kube.Node{me("10.0.1.0/24 fd00:1::/64"), nodeOf("b", 1, "10.0.2.0/24 fd00:2::/64")}, "[10.0.1.0/24 fd00:1::/64]", "me b me b", 0, ""},
		"not there":          {[]kube.Node{nodeOf("b", 1, "10.0.2.0/24")}, "[]", "b", fault.NoService, "has no Node of that name"},
		"no cluster":         {nil, "[]", "", fault.NoService, "has no Node of that name"},
		"no CIDR yet":        {[]kube.Node{me(""), nodeOf("b", 1, "10.0.2.0/24")}, "[]", "b", fault.TryLater, "has no podCIDR yet"},
		"no CIDR":            {[]kube.Node{me("10.0.1.0")}, "[]", "", fault.Config, "its podCIDR 10.0.1.0 is none"},
		"one of two is none": {[]kube.Node{me("10.0.1.0/24 fd00::")}, "[]", "me", fault.Config, "its podCIDR fd00:: is none"},
		"too small":          {[]kube.Node{me("10.0.1.0/31")}, "[]", "me", fault.Config, "nothing can be handed out of 10.0.1.0/31"},
		"the host's own":     {[]kube.Node{me("192.0.2.0/24"), nodeOf("b", 1, "10.0.2.0/24")}, "[]", "b me", fault.Config, "no pod can have all of its podCIDR 192.0.2.0/24: the machine's own addresses are [192.0.2.1]"},
		"nobody's":           {[]kube.Node{me("127.0.0.0/24")}, "[]", "me", fault.Config, "no pod can have all of its podCIDR 127.0.0.0/24"},
		"older":              {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 11, "10.0.1.0/24")}, "[10.0.1.0/24]", "me", fault.Taken, "node b: its podCIDR 10.0.1.0/24 overlaps 10.0.1.0/24 of node me"},
		"younger":            {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 9, "10.0.1.0/24")}, "[]", "b", fault.Taken, "node me: its podCIDR 10.0.1.0/24 overlaps 10.0.1.0/24 of node b"},
		"of an age":          {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 10, "10.0.1.0/24")}, "[]", "b", fault.Taken, "of node b"},
		"within a larger":    {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 9, "10.0.0.0/16")}, "[]", "b", fault.Taken, "overlaps 10.0.0.0/16"},
		"around a smaller":   {[]kube.Node{me("10.0.0.0/16"), nodeOf("b", 11, "10.0.1.0/24"), nodeOf("c", 12, "10.0.9.0/24")}, "[10.0.0.0/16]", "me", fault.Taken, "node c"},
		"others among them":  {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 1, "10.0.2.0/24"), nodeOf("c", 2, "10.0.2.0/24")}, "[10.0.1.0/24]", "me b", 0, ""},
		"beside":             {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 1, "10.0.0.0/24"), nodeOf("c", 1, "10.0.2.0/24")}, "[10.0.1.0/24]", "b me c", 0, ""},
		"several":            {[]kube.Node{me("10.0.1.0/24 10.0.2.0/24")}, "[]", "me me", fault.Config, "has several podCIDRs of IPv4"},
		"several of another": {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 1, "10.0.2.0/24 10.0.3.0/24")}, "[10.0.1.0/24]", "me b b", 0, ""},
		"one twice":          {[]kube.Node{me("10.0.1.0/24 10.0.1.0/24")}, "[]", "me me", fault.Config, "has several podCIDRs of IPv4"},
		"everything":         {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 1, "0.0.0.0/0")}, "[10.0.1.0/24]", "me", 0, ""},
		"more than the pool": {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 1, "10.0.0.0/7")}, "[10.0.1.0/24]", "me", 0, ""},
		"the hosts' network": {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 1, "192.0.2.128/25 10.0.2.0/24")}, "[10.0.1.0/24]", "me b", 0, ""},
		"the whole pool":     {[]kube.Node{me("10.0.1.0/24"), nodeOf("b", 11, "10.0.0.0/8")}, "[10.0.1.0/24]", "me", fault.Taken, "node b: its podCIDR 10.0.0.0/8 overlaps"},
		"one family of two":  {[]kube.Node{me("10.0.1.0/24 fd00:1::/64"), nodeOf("b", 1, "fd00:1::/64")}, "[]", "me b", fault.Taken, "fd00:1::/64"},
	} {
		v := ViewOf("me", c.nodes, cluster)
		var reaches []string
		for _, n := range v.Neighbours {
			reaches = append(reaches, n.Node)
		}
		if got := fmt.Sprint(v.CIDRs); got != c.has || strings.Join(reaches, " ") != c.reaches {
			t.Errorf("%s: has %s and reaches %v, want %s and %s", name, got, reaches, c.has, c.reaches)
		}
		if v.Trouble == nil && c.code == 0 {
			continue
		}
		if v.Trouble == nil || fault.Code(v.Trouble) != c.code || !strings.Contains(v.Trouble.Error(), c.trouble) || fault.Hint(v.Trouble) == "" {
			t.Errorf("%s: code %d, %v, want code %d, %q and a remedy", name, fault.Code(v.Trouble), v.Trouble, c.code, c.trouble)
		}
	}
}

// Ten thousand Nodes are looked at in a moment, though every pair might overlap.
func TestViewOfManyNodes(t *testing.T) {
	nodes := make([]kube.Node, 10000)
	for i := range nodes {
		nodes[i] = nodeOf(fmt.Sprintf("n%05d", i), int64(i), fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
	}
	if v := ViewOf("n00007", nodes, cluster); v.Trouble != nil || len(v.Neighbours) != len(nodes) {
		t.Errorf("%d blocks, %v", len(v.Neighbours), v.Trouble)
	}
}
