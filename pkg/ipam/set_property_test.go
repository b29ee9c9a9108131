package ipam

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// drawSet makes ranges of one family that do not overlap, of 1 to 40 addresses each, anywhere, the ends of the family included.
func drawSet(t *rapid.T) Set {
	bits := rapid.SampledFrom([]int{32, 128}).Draw(t, "bits")
	at := netip.IPv6Unspecified()
	if bits == 32 {
		at = netip.IPv4Unspecified()
	}
	var set Set
	for range rapid.IntRange(1, 4).Draw(t, "ranges") {
		for range rapid.IntRange(0, 5).Draw(t, "gap") {
			at = at.Next()
		}
		start := at
		for range rapid.IntRange(0, 39).Draw(t, "length") {
			at = at.Next()
		}
		set = append(set, Range{Subnet: netip.PrefixFrom(at, 0), Start: start, End: at, Gateway: start})
		at = at.Next()
	}
	order := rapid.Permutation(set).Draw(t, "order")
	return order
}

// A round goes over every address of the set once, in cyclic order, and ends with the one reserved last.
func TestAfterIsARound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		var all []netip.Addr
		for _, r := range set {
			for a := r.Start; r.Contains(a); a = a.Next() {
				all = append(all, a)
			}
		}
		at := rapid.IntRange(0, len(all)-1).Draw(t, "last")
		i := 0
		for _, span := range set.After(all[at]) {
			for a := span.From; ; a = a.Next() {
				if want := all[(at+1+i)%len(all)]; a != want || !span.Contains(a) {
					t.Fatalf("%s after %s: address %d is %s of %s, want %s", set, all[at], i, a, span.Range, want)
				}
				i++
				if a == span.To {
					break
				}
			}
		}
		if i != len(all) {
			t.Fatalf("%s after %s: %d addresses of %d", set, all[at], i, len(all))
		}
	})
}
