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
