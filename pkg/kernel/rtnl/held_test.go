package rtnl

import (
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// ways are routes by two links, as somebody may have made them.
var ways = `10.9.1.0/24 dev one
10.9.2.0/24 dev one scope link src 10.1.0.2 metric 7
default via 10.1.0.1 dev one
10.9.3.0/24 via 192.0.2.77 dev one onlink
10.9.4.0/24 via 10.1.0.1 dev one proto static mtu 1400 advmss 1300 initcwnd 20 realms 3/4
10.9.5.0/24 tos 0x10 via 10.1.0.1 dev one
10.9.6.0/24 via inet6 fd00:1::9 dev one
10.9.7.0/24 nexthop via 10.1.0.1 dev one weight 3 nexthop via 10.1.0.9 dev one weight 1
10.9.8.0/24 nexthop via 192.0.2.78 dev one weight 1 onlink nexthop dev one weight 9
2001:db8:1::/48 dev one
2001:db8:2::/48 via fd00:1::1 dev one metric 7 src fd00:1::2 pref high
2001:db8:3::/48 via 2001:db8:77::1 dev one onlink
2001:db8:4::/48 via fd00:1::1 dev one mtu 1400 hoplimit 9
2001:db8:5::/48 nexthop via fd00:1::1 dev one weight 3 nexthop via fd00:1::9 dev one weight 1
2001:db8:6::/48 nexthop via fe80::9 dev one weight 1 nexthop via 2001:db8:77::1 dev one weight 7 onlink`

// together are routes by both.
var together = `2001:db8:7::/48 nexthop via fd00:1::1 dev one weight 3 nexthop via fd00:2::1 dev two weight 1
2001:db8:8::/48 nexthop via fd00:1::1 dev one weight 1 nexthop via fd00:2::1 dev two weight 9
2001:db8:9::/48 nexthop via fd00:1::1 dev one weight 200 nexthop via fd00:1::9 dev one weight 2 nexthop via fd00:2::1 dev two weight 100
2001:db8:a::/48 nexthop via 2001:db8:77::1 dev one weight 4 onlink nexthop via fe80::1 dev two weight 2`

func run(t *testing.T, words string) string {
	t.Helper()
	return nstest.Program(t, "", "sh", "-ec", words)
}

// routed runs f where those routes are, of which it is told how main has them.
func routed(t *testing.T, lines string, f func(t *testing.T, c *Conn, shown func(table string) string)) {
	nstest.Run(t, func(t *testing.T) {
		for i, link := range []string{"one", "two"} {
			n := string(rune('1' + i))
			run(t, "ip link add "+link+" type veth peer name far"+n+"; ip link set far"+n+" up; ip link set "+link+" up; ip addr add 10."+n+".0.2/24 dev "+link+"; ip addr add fd00:"+n+"::2/64 dev "+link+" nodad")
		}
		for _, line := range strings.Split(lines, "\n") {
			run(t, "ip $(case '"+line+"' in 2001*) echo -6;; esac) route add "+line)
		}
		kernels := regexp.MustCompile(`(?m)^.*proto kernel.*\n|^fe80.*\n|^multicast.*\n`)
		f(t, openConn(t), func(table string) string {
			return kernels.ReplaceAllString(run(t, "ip route show table "+table+" 2>&1 || true; ip -6 route show table "+table+" 2>&1 || true"), "")
		})
	})
}

// move puts the routes by the link "one" of a table into another.
func move(t *testing.T, c *Conn, from, to uint32, weighed bool) {
	t.Helper()
	index := linkOf(t, "one").Index
	all, err := c.Routes()
	must(t, err)
	ours := func(h Held) bool { return h.Table == from && h.Link == index && h.Protocol != 2 } // RTPROT_KERNEL
	if weighed {
		all, err = c.Weighed(all, index, to)
		must(t, err)
	}
	for rank := range 2 { // gateways after the ways to them
		for _, h := range all {
			if ours(h) && h.Direct() == (rank == 0) {
				must(t, c.Send(h.Del()))
				h.Table = to
				if err := c.Send(h.Add()); err != nil {
					t.Errorf("%+v: %v", h, err)
				}
			}
		}
	}
}

// TestRoutesAreCarried: a route has in another table all that it had, and after it has come back.
func TestRoutesAreCarried(t *testing.T) {
	t.Parallel()
	routed(t, ways, func(t *testing.T, c *Conn, shown func(string) string) {
		before := shown("main")
		move(t, c, 254, 77, false)
		if left := shown("main"); left != "" {
			t.Errorf("main still has\n%s", left)
		}
		if got := shown("77"); got != before {
			t.Errorf("table 77 has\n%swant\n%s", got, before)
		}
		move(t, c, 77, 254, true)
		if got := shown("main"); got != before {
			t.Errorf("back:\n%swant\n%s", got, before)
		}
	})
}

// TestWeights: a next hop that leaves others comes back with the weight that it had, which nobody tells of one that is alone.
func TestWeights(t *testing.T) {
	t.Parallel()
	routed(t, together, func(t *testing.T, c *Conn, shown func(string) string) {
		sorted := func(text string) string { return run(t, "echo '"+text+"' | tr -d '\\t' | sed 's/ *$//' | sort") }
		before := shown("main")
		for range 2 {
			move(t, c, 254, 77, false)
			if left := shown("main"); strings.Contains(left, "dev one") {
				t.Errorf("main still has\n%s", left)
			}
			move(t, c, 77, 254, true)
			if got := shown("main"); sorted(got) != sorted(before) {
				t.Errorf("back:\n%swant\n%s", got, before)
			}
			if left := shown("77"); strings.Contains(left, "via") {
				t.Errorf("table 77 still has\n%s", left)
			}
		}
	})
}

// TestWeightAskedByTheKilled: what somebody left who was killed over the question comes back to nobody.
func TestWeightAskedByTheKilled(t *testing.T) {
	t.Parallel()
	routed(t, strings.Split(together, "\n")[0], func(t *testing.T, c *Conn, shown func(string) string) {
		before := shown("main")
		move(t, c, 254, 77, false)
		run(t, "ip -6 route append 2001:db8:7::/48 table 77 via "+nobody().String()+" dev one")
		move(t, c, 77, 254, true)
		if got := shown("main"); strings.Count(got, "nexthop") != 2 || strings.Contains(got, nobody().String()) || !strings.Contains(got, "weight 3") {
			t.Errorf("back:\n%swant\n%s", got, before)
		}
		if left := shown("77"); strings.Contains(left, "via") {
			t.Errorf("table 77 still has\n%s", left)
		}
	})
}

// TestAddressesAreGivenAgain: an address has on a link all that it had there before.
func TestAddressesAreGivenAgain(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run(t, `ip link add one type veth peer name far; ip link set far up; ip link set one up
ip addr add 10.1.0.2/24 brd 10.1.0.200 dev one label one:7
ip addr add 10.1.0.3/24 dev one
ip addr add 10.2.0.1 peer 10.2.0.2/32 dev one
ip addr add 10.3.0.1/24 dev one noprefixroute scope link metric 77
ip addr add 10.4.0.1/24 dev one valid_lft 4000 preferred_lft 3000
ip addr add fd00::1/64 dev one nodad noprefixroute
ip addr add fd00::2/64 dev one nodad preferred_lft 0
ip addr add fd00::3 peer fd00::4/128 dev one nodad
ip addr add fd00::5/64 dev one nodad valid_lft 4000 preferred_lft 3000`)
		shown := func() string { // the route to a peer of IPv6 comes some time later
			return regexp.MustCompile(`[34]\d\d\dsec|2999sec|3999sec`).ReplaceAllString(run(t, "ip addr show dev one | grep -A1 -E 'inet6? (10|fd)'; ip route show; ip -6 route show fd00::/64"), "TIME")
		}
		before := shown()
		c := openConn(t)
		index := linkOf(t, "one").Index
		given, err := c.Given(index)
		must(t, err)
		if len(given) != 9 {
			t.Fatalf("%d are given: %v", len(given), given)
		}
		run(t, "ip addr flush dev one scope global; ip addr flush dev one scope link to 10.0.0.0/8")
		for _, g := range given {
			must(t, c.Send(Again(g.Told, index)))
		}
		if got := shown(); got != before {
			t.Errorf("again:\n%swant\n%s", got, before)
		}
		if err := c.Send(Again(nil, index)); err == nil {
			t.Error("nothing is an address")
		}
	})
}
