package nft

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// A scan that knows how many elements it looks for finds the same as one that reads everything, exceptions and both families included.
func TestScanFindsAll(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		claims := three()
		four, six := netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("fd00::/64")
		claims = append(claims, firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{
			{Addr: netip.MustParseAddr("10.1.0.77"), Subnet: four, Except: []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}},
			{Addr: netip.MustParseAddr("fd00::77"), Subnet: six},
		}})
		for i, c := range claims {
			o := somebody()
			if i >= len(three()) {
				o = owner.Of("net", "other", "eth0")
			}
			_, err := f.Hold(t.Context(), o, c, nil)
			must(t, err)
			w, err := parse(o, c)
			must(t, err)
			names := func(number int) (names []string) {
				held, err := f.scan(w, number)
				must(t, err)
				for _, e := range held {
					names = append(names, entry{set: e.set, key: e.Key, end: e.KeyEnd}.name())
				}
				slices.Sort(names)
				return names
			}
			want := names(everything)
			if len(want) != len(w.entries) {
				t.Errorf("%s: found %d of %d", c.Role, len(want), len(w.entries))
			}
			for _, number := range []int{len(want), len(want) + 1, 0} {
				if diff := cmp.Diff(want, names(number)); diff != "" {
					t.Errorf("%s, looking for %d (-everything +found):\n%s", c.Role, number, diff)
				}
			}
		}
	})
}

// Of a network without exceptions, the ranges of others are not read: the owner's own are enough.
func TestOwnRangesAreEnough(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		for _, c := range three()[:2] {
			w, err := parse(somebody(), c)
			must(t, err)
			var others []element
			ranges := slices.DeleteFunc(slices.Clone(w.table.sets), func(s *nftables.Set) bool { return !s.Interval || !slices.Contains(w.sets, s.Name) })
			for _, set := range w.sets {
				if s := w.table.set(set); !s.Interval {
					others, err = f.scanSet(others, w, s)
					must(t, err)
				}
			}
			own, err := f.ownRanges(w, ranges, others)
			must(t, err)
			if len(others)+len(own) != len(w.entries) {
				t.Errorf("%s: %d elements and %d ranges, want %d in all", c.Role, len(others), len(own), len(w.entries))
			}
		}
	})
}
