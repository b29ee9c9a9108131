package reach

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// While something failed, and is due again, only what is about ours has it tried before its time.
func TestHeardWhileAllIsDue(t *testing.T) {
	wanted := Route{Dst: netip.MustParsePrefix("10.64.1.0/26"), Via: netip.MustParseAddr("192.0.2.2"), Link: 2}
	want := newSet()
	want.Routes[wanted] = true
	s := see(want, Ground{}, Config{Mode: Direct, Protocol: Protocol})
	others := wanted
	others.Dst = netip.MustParsePrefix("10.85.0.0/24")
	d := due{all: true}
	for _, c := range []struct {
		what string
		event
		want bool
	}{
		{"another's route", event{kind: unix.RTM_NEWROUTE, table: unix.RT_TABLE_MAIN, route: others, proto: unix.RTPROT_KERNEL}, false},
		{"another's link", event{kind: unix.RTM_NEWLINK, name: "veth0", link: 7}, false},
		{"ours went", event{kind: unix.RTM_DELROUTE, table: unix.RT_TABLE_MAIN, route: wanted, proto: Protocol}, true},
		{"ours went, which is known", event{kind: unix.RTM_DELROUTE, table: unix.RT_TABLE_MAIN, route: wanted, proto: Protocol}, false},
		{"another has our place", event{kind: unix.RTM_NEWROUTE, table: unix.RT_TABLE_MAIN, route: wanted, proto: unix.RTPROT_STATIC}, true},
		{"a loss", event{lost: true}, true},
	} {
		if got := s.hear(c.event, &d); got != c.want || !d.all {
			t.Errorf("%s: %t, want %t; all is due: %t", c.what, got, c.want, d.all)
		}
	}
}

// Whatever happens to the tunnel's own addresses has all looked at, but what we do, and what the kernel does by itself: with ten thousand hosts a look is a megabyte and a half.
func TestHeardOfAddresses(t *testing.T) {
	own := netip.MustParsePrefix("10.64.0.0/32")
	want := newSet()
	want.Own[own] = true
	s := see(want, Ground{Tunnel: 4}, Config{Mode: VXLAN, Protocol: Protocol})
	for _, c := range []struct {
		what string
		kind uint16
		link int
		addr string
		want bool
	}{
		{"ours is there", unix.RTM_NEWADDR, 4, "10.64.0.0/32", false},
		{"ours went", unix.RTM_DELADDR, 4, "10.64.0.0/32", true},
		{"the kernel's comes", unix.RTM_NEWADDR, 4, "fe80::1/64", false},
		{"the kernel's goes", unix.RTM_DELADDR, 4, "fe80::1/64", false},
		{"a stranger's comes", unix.RTM_NEWADDR, 4, "10.99.0.1/32", true},
		{"ours with another length", unix.RTM_NEWADDR, 4, "10.64.0.0/26", true},
		{"a stranger's goes", unix.RTM_DELADDR, 4, "10.99.0.1/32", true},
		{"another link's", unix.RTM_NEWADDR, 5, "10.99.0.1/32", false},
		{"another link's, as ours", unix.RTM_DELADDR, 5, "10.64.0.0/32", false},
	} {
		var d due
		if got := s.hear(event{kind: c.kind, link: c.link, addr: netip.MustParsePrefix(c.addr)}, &d); got != c.want || d.all != c.want {
			t.Errorf("%s: due %t, all %t", c.what, got, d.all)
		}
	}
}
