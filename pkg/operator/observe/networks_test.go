package observe

import (
	"math"
	"net/netip"
	"testing"
)

// How many addresses an interval has is a number of 64 bits, or as many as these can count.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		first, last string
		want        uint64
	}{
		{"10.1.0.7", "10.1.0.7", 1},
		{"10.1.0.1", "10.1.0.254", 254},
		{"0.0.0.0", "255.255.255.255", 1 << 32},
		{"10.1.0.2", "10.1.0.1", 0},
		{"10.1.0.1", "fd00::1", 0},
		{"fd00::1", "fd00::ffff", 0xffff},
		{"fd00::ffff:ffff:ffff:ffff", "fd00:0:0:1::", 2},
		{"fd00::", "fd00::ffff:ffff:ffff:fffd", math.MaxUint64 - 1},
		{"fd00::", "fd00::ffff:ffff:ffff:fffe", math.MaxUint64},
		{"fd00::", "fd00::ffff:ffff:ffff:ffff", math.MaxUint64},
		{"fd00::2", "fd00:0:0:1::", math.MaxUint64},
		{"fd00::2", "fd00:0:0:1::1", math.MaxUint64},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", math.MaxUint64},
	} {
		if got := distance(netip.MustParseAddr(c.first), netip.MustParseAddr(c.last)); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.first, c.last, got, c.want)
		}
	}
}
