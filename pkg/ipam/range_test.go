package ipam

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// span makes a range of a subnet from its first and last address.
func span(subnet, start, end string) Range {
	r := Whole(netip.MustParsePrefix(subnet))
	r.Start, r.End = addr(start), addr(end)
	return r
}

func TestWhole(t *testing.T) {
	for _, c := range []struct{ subnet, want, gateway string }{
		{"10.1.0.0/16", "10.1.0.1-10.1.255.254", "10.1.0.1"},
		{"10.1.0.4/30", "10.1.0.5-10.1.0.6", "10.1.0.5"},
		{"0.0.0.0/0", "0.0.0.1-255.255.255.254", "0.0.0.1"},
		{"fd00::/126", "fd00::1-fd00::3", "fd00::1"},
		{"fd00:1:2:3::/64", "fd00:1:2:3::1-fd00:1:2:3:ffff:ffff:ffff:ffff", "fd00:1:2:3::1"},
		{"10.1.0.8/29", "10.1.0.9-10.1.0.14", "10.1.0.9"},
	} {
		r := Whole(netip.MustParsePrefix(c.subnet))
		if got := r.String(); got != c.want || r.Gateway != addr(c.gateway) {
			t.Errorf("%s: %s, gateway %s; want %s, gateway %s", c.subnet, got, r.Gateway, c.want, c.gateway)
		}
	}
}

func TestContains(t *testing.T) {
	r := span("10.1.0.0/24", "10.1.0.5", "10.1.0.9")
	for text, want := range map[string]bool{
		"10.1.0.4": false, "10.1.0.5": true, "10.1.0.7": true, "10.1.0.9": true, "10.1.0.10": false,
		"::ffff:10.1.0.7": false, "fd00::7": false, "::": false,
	} {
		if got := r.Contains(addr(text)); got != want {
			t.Errorf("%s contains %s: %v, want %v", r, text, got, want)
		}
	}
	if r.Contains(netip.Addr{}) {
		t.Errorf("%s contains the zero address", r)
	}
}

func TestOverlaps(t *testing.T) {
	middle := span("10.1.0.0/24", "10.1.0.5", "10.1.0.9")
	for _, c := range []struct {
		start, end string
		want       bool
	}{
		{"10.1.0.1", "10.1.0.4", false},
		{"10.1.0.1", "10.1.0.5", true},
		{"10.1.0.6", "10.1.0.7", true},
		{"10.1.0.1", "10.1.0.20", true},
		{"10.1.0.9", "10.1.0.20", true},
		{"10.1.0.10", "10.1.0.20", false},
	} {
		other := span("10.1.0.0/24", c.start, c.end)
		if middle.Overlaps(other) != c.want || other.Overlaps(middle) != c.want {
			t.Errorf("%s and %s overlap: want %v both ways", middle, other, c.want)
		}
	}
}

func TestAfter(t *testing.T) {
	set := Set{span("10.1.0.0/24", "10.1.0.2", "10.1.0.4"), span("10.2.0.0/24", "10.2.0.7", "10.2.0.7")}
	for _, c := range []struct {
		last string
		want []string
	}{
		{"", []string{"10.1.0.2-10.1.0.4", "10.2.0.7-10.2.0.7"}},
		{"10.9.0.1", []string{"10.1.0.2-10.1.0.4", "10.2.0.7-10.2.0.7"}},
		{"10.1.0.2", []string{"10.1.0.3-10.1.0.4", "10.2.0.7-10.2.0.7", "10.1.0.2-10.1.0.2"}},
		{"10.1.0.4", []string{"10.2.0.7-10.2.0.7", "10.1.0.2-10.1.0.4"}},
		{"10.2.0.7", []string{"10.1.0.2-10.1.0.4", "10.2.0.7-10.2.0.7"}},
	} {
		var last netip.Addr
		if c.last != "" {
			last = addr(c.last)
		}
		var got []string
		for _, s := range set.After(last) {
			got = append(got, s.From.String()+"-"+s.To.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", c.last, diff)
		}
	}
}
