package step

import (
	"net/netip"
	"testing"
)

// A queue of one kind takes the place of one of the other: of the reference's, which knows no subnets, or of an earlier configuration.
func TestQueueOfAnotherKind(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		plain := Shaped{Shape{Owner: pair.Owner, IfName: pair.IfName, Hosts: []string{pair.Host}, Rate: 8e6, Burst: 8e5}}
		some := plain
		some.Unshaped = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		for _, q := range []Shaped{plain, some, plain} {
			created, err := q.Apply(h.ctx, h.Site)
			h.must(err)
			if !created {
				t.Errorf("%v: nothing made", q)
			}
			h.must(q.Verify(h.ctx, h.Site))
		}
	})
}
