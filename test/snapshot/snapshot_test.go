package snapshot

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

var must = nstest.Must

// A snapshot that misses a change would let every test that uses it pass; so each kind of object is made, seen, and removed.
func TestEveryKindIsSeen(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c1 := nstest.Namespace(t, "c1")
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cni0", Alias: "ours"}}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth1"}, PeerName: "peer1"}
		must(t, netlink.LinkAdd(veth))
		must(t, netlink.LinkSetUp(veth))
		address, err := netlink.ParseAddr("10.1.0.1/24")
		must(t, err)
		_, far, _ := net.ParseCIDR("192.0.2.0/24")
		route := &netlink.Route{Dst: far, LinkIndex: veth.Index, Scope: netlink.SCOPE_LINK, Table: 7}
		rule := netlink.NewRule()
		rule.Priority, rule.Table = 99, 7
		for _, c := range []struct {
			want         string
			make, remove func() error
		}{
			{"+ host link cni0 bridge", func() error { return netlink.LinkAdd(bridge) }, func() error { return netlink.LinkDel(bridge) }},
			{"+ host address veth1 10.1.0.1/24", func() error { return netlink.AddrAdd(veth, address) }, func() error { return netlink.AddrDel(veth, address) }},
			{"+ host route inet table 7 192.0.2.0/24", func() error { return netlink.RouteAdd(route) }, func() error { return netlink.RouteDel(route) }},
			{"+ host rule inet ip rule 99", func() error { return netlink.RuleAdd(rule) }, func() error { return netlink.RuleDel(rule) }},
			{"+ host sysctl ipv4/ip_forward 1", sysctl("1"), sysctl("0")},
			{"+ c1 link lo device mac  mtu 1400", loopbackMTU(c1, 1400), loopbackMTU(c1, 65536)},
			{
				`+ host reservation /var/lib/cni/networks/net/10.1.0.2 "c1\r\neth0"`,
				func() error {
					must(t, os.MkdirAll("/var/lib/cni/networks/net", 0o755))
					must(t, os.WriteFile("/var/lib/cni/networks/net/lock", nil, 0o600))
					return os.WriteFile("/var/lib/cni/networks/net/10.1.0.2", []byte("c1\r\neth0"), 0o600)
				},
				func() error { return os.Remove("/var/lib/cni/networks/net/10.1.0.2") },
			},
		} {
			before := Take(t, c1)
			must(t, c.make())
			if diff := Diff(before, Take(t, c1)); !strings.Contains(diff, c.want) {
				t.Errorf("no line %q in\n%s", c.want, diff)
			}
			must(t, c.remove())
			if diff := Diff(before, Take(t, c1)); diff != "" {
				t.Errorf("%s, made and removed again, leaves\n%s", c.want, diff)
			}
		}
	})
}

func sysctl(value string) func() error {
	return func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(value), 0o644) }
}

func loopbackMTU(namespace string, mtu int) func() error {
	return func() error {
		return nstest.In(namespace, func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(lo, mtu)
		})
	}
}

func TestFilter(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		conn, err := nftables.New()
		must(t, err)
		key := nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
		value := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "trestle"})
		ports := &nftables.Set{Table: table, Name: "dnat4", IsMap: true, HasTimeout: true, Concatenation: true, KeyType: key, DataType: value}
		must(t, conn.AddSet(ports, []nftables.SetElement{
			{Key: []byte{6, 0, 0, 0, 0x1f, 0x90, 0, 0}, Val: []byte{10, 1, 0, 2, 0, 80, 0, 0}, Comment: "net/c1/eth0"},
			{Key: []byte{17, 0, 0, 0, 0x1f, 0x90, 0, 0}, Val: []byte{10, 1, 0, 2, 0, 80, 0, 0}, Timeout: time.Hour},
		}))
		chain := conn.AddChain(&nftables.Chain{Table: table, Name: "hostports"})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Counter{Bytes: 1, Packets: 1}, &expr.Verdict{Kind: expr.VerdictReturn},
		}})
		must(t, conn.Flush())
		text := Take(t)
		for _, want := range []string{
			"host table inet trestle\n",
			"host chain inet trestle hostports\n",
			"host set inet trestle dnat4 inet_proto . inet_service\n",
			"host element inet trestle dnat4 6 . 8080 : 10.1.0.2 . 80 \"net/c1/eth0\"\n",
			"host rule inet trestle hostports 000 counter verdict",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no line %q in\n%s", want, text)
			}
		}
		if strings.Contains(text, "dnat4 17") {
			t.Errorf("an element with an expiration is in\n%s", text)
		}
	})
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"", "", ""},
		{"a\nb\n", "a\nb\n", ""},
		{"a\n", "a\nb\n", "+ b\n"},
		{"a\nb\n", "b\n", "- a\n"},
		{"a\nb\nd\n", "a\nc\nd\n", "- b\n+ c\n"},
	} {
		if got := Diff(c.before, c.after); got != c.want {
			t.Errorf("Diff(%q, %q) = %q, want %q", c.before, c.after, got, c.want)
		}
	}
}
