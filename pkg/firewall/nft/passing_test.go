package nft

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// Whose addresses pass is told by the claim, wrong as it may be, and where it is right at the same price however many others there are: what is read is allocated.
func TestPassing(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		own := []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd00::9:1")}
		right := firewall.Claim{Role: firewall.Forward, Pass: own}
		o := owner.Of("net", "passing", "eth0")
		_, err := f.Hold(t.Context(), o, right, nil)
		must(t, err)
		costs := func() float64 {
			return testing.AllocsPerRun(5, func() {
				_, err := f.Passing(t.Context(), o, right)
				must(t, err)
			})
		}
		alone := costs()
		others := firewall.Claim{Role: firewall.Forward}
		for n := range 1000 {
			others.Pass = append(others.Pass, netip.AddrFrom4([4]byte{10, 8, byte(n >> 8), byte(n)}))
		}
		_, err = f.Hold(t.Context(), owner.Of("net", "others", "eth0"), others, nil)
		must(t, err)
		if among := costs(); among > alone+10 {
			t.Errorf("%v allocations among a thousand, %v alone", among, alone)
		}
		for _, c := range []firewall.Claim{right, {Told: own}, {}, {Pass: own[:1]}, {Pass: []netip.Addr{others.Pass[0]}}, {Pass: []netip.Addr{{}}}} {
			got, err := f.Passing(t.Context(), o, c)
			if must(t, err); !slices.Equal(slices.SortedFunc(slices.Values(got), netip.Addr.Compare), own) {
				t.Errorf("%s: %v, want %v", fmt.Sprintf("%v told %v", c.Pass, c.Told), got, own)
			}
		}
	})
}
