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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

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
