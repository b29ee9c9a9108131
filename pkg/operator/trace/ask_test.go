package trace

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

var must = nstest.Must

// TestParse reads what operators write, on a host with one container and one way out.
func TestParse(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		join(t, "web", "10.0.0.1/24", "10.0.0.2/24")
		join(t, "neighbour", "192.0.2.1/24", "192.0.2.2/24")
		must(t, netlink.RouteAdd(&netlink.Route{Gw: []byte{192, 0, 2, 2}}))
		town, err := Open(t.Context(), "/run/netns")
		must(t, err)
		defer town.Close()
		for _, test := range []struct{ from, to, want string }{
			{"web", "host:80", "web to 10.0.0.1:80 (tcp)"},
			{"host", "web:53/udp", "host to 10.0.0.2:53 (udp)"},
			{"web", "10.0.0.1", "web to 10.0.0.1 (icmp)"},
			{"10.0.0.2", "[2001:db8::9]:80", "fault: 10.0.0.2 and 2001:db8::9: an address of IPv4 and one of IPv6"},
			{"web", "2001:db8::9", "web to 2001:db8::9 (ipv6-icmp)"},
			{"outside", "web:80", "outside to 10.0.0.2:80 (tcp)"},
			{"198.51.100.7", "web", "outside to 10.0.0.2 (icmp)"},
			{"web", "outside:443", "web to 203.0.113.1:443 (tcp)"},
			{"web", "host:0", `fault: port "0": not one`},
			{"web", "host:70000", `fault: port "70000": not one`},
			{"web", "host/udp", "fault: host: no port"},
			{"web", "host:80/gre", `fault: protocol "gre": not known`},
			{"outside", "outside", "fault: from outside to outside: not this host's affair"},
			{"nix", "host", "fault: nix: no such container, namespace or address"},
			{"web", "", "fault: : no such container, namespace or address"},
		} {
			q, err := town.Parse(test.from, test.to, "/nowhere", false)
			got := ""
			if err != nil {
				got = "fault: " + err.Error()
				if fault.Hint(err) == "" || strings.Contains(fault.Hint(err), "\n") {
					t.Errorf("%s: no remedy: %q", got, fault.Hint(err))
				}
			} else {
				got = q.String()
			}
			if got != test.want {
				t.Errorf("%q %q: %s, want %s", test.from, test.to, got, test.want)
			}
		}
	})
}

// TestLoop has two routes that lead to each other: the answer is no, and comes.
func TestLoop(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for _, key := range []string{"ip_forward 1", "conf/all/rp_filter 0", "conf/default/rp_filter 0"} {
			name, value, _ := strings.Cut(key, " ")
			must(t, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644))
		}
		join(t, "client", "10.9.0.1/24", "10.9.0.2/24")
		join(t, "other", "10.0.0.1/24", "10.0.0.2/24")
		must(t, nstest.In("/run/netns/other", func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) }))
		must(t, netlink.RouteAdd(&netlink.Route{Gw: []byte{10, 0, 0, 2}}))
		town, err := Open(t.Context(), "/run/netns")
		must(t, err)
		defer town.Close()
		q, err := town.Parse("client", "203.0.113.9", "/nowhere", false)
		must(t, err)
		if a := town.Ask(q); a.Outcome != Dropped || !strings.Contains(a.Why, "routing loop") {
			t.Errorf("%s: %s", a.Outcome, a.Why)
		}
	})
}

// join makes a namespace at the other end of a pair, with a default route to this one.
func join(t *testing.T, name, here, there string) {
	t.Helper()
	ns, err := os.Open(nstest.Namespace(t, name))
	must(t, err)
	defer ns.Close()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd()))}))
	give := func(link, address string) {
		l, err := netlink.LinkByName(link)
		must(t, err)
		a, err := netlink.ParseAddr(address)
		must(t, err)
		must(t, netlink.AddrAdd(l, a))
		must(t, netlink.LinkSetUp(l))
	}
	give(name, here)
	must(t, nstest.In("/run/netns/"+name, func() error {
		give("eth0", there)
		return netlink.RouteAdd(&netlink.Route{Gw: netip.MustParsePrefix(here).Addr().AsSlice()})
	}))
}

// TestThrownAway has each kind of rule and of route that throws a packet away: it is named, with the remedy that removes it.
func TestThrownAway(t *testing.T) {
	for name, test := range map[string][3]string{
		"a rule by its source":       {"ip rule add pref 5 from 10.0.0.0/24 blackhole", "rule 5 of routing (from 10.0.0.0/24 blackhole)", "ip rule del priority 5"},
		"a rule by its target":       {"ip rule add pref 6 to 192.0.2.2 prohibit", "rule 6 of routing (from all to 192.0.2.2 prohibit)", "ip rule del priority 6"},
		"a rule by its link":         {"ip rule add pref 7 iif web unreachable", "rule 7 of routing (from all iif web unreachable)", "ip rule del priority 7"},
		"a route":                    {"ip route add blackhole 192.0.2.2", "route blackhole 192.0.2.2/32", "ip route del blackhole 192.0.2.2/32 table 254"},
		"a default route":            {"ip route add unreachable default table 9; ip rule add pref 8 lookup 9", "route unreachable default", "ip route del unreachable default table 9"},
		"not another's":              {"ip rule add pref 5 from 10.0.9.0/24 blackhole; ip route add blackhole 192.0.3.0/24", "", ""},
		"not after what leads there": {"ip rule add pref 40000 blackhole", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644))
				join(t, "web", "10.0.0.1/24", "10.0.0.2/24")
				join(t, "far", "192.0.2.1/24", "192.0.2.2/24")
				nstest.Program(t, "", "/bin/sh", "-ec", test[0])
				town, err := Open(t.Context(), "/run/netns")
				must(t, err)
				defer town.Close()
				q, err := town.Parse("web", "192.0.2.2", "/nowhere", false)
				must(t, err)
				a := town.Ask(q)
				if (a.Outcome == Reachable) != (test[1] == "") || !strings.HasPrefix(a.Why, test[1]) || a.Remedy != test[2] {
					t.Errorf("%s: %s (%s), want %q (%q)", a.Outcome, a.Why, a.Remedy, test[1], test[2])
				}
			})
		})
	}
}
