package trial

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/slack"
)

// A host that is reached elsewhere than before says so, in its record and in what its blocks say; they stay its own, and open.
func TestReachedElsewhere(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	c.define("pods", small)
	s := c.dial("pods", slack.Of(5*time.Second))
	h := openHost(t, s, placesIn(dir, "n1"), "n1")
	for _, via := range [][]netip.Addr{{netip.MustParseAddr("192.0.2.1")}, {netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, nil} {
		if err := h.Ledger.Reached(ctx, via); err != nil {
			t.Fatal(err)
		}
		join(t, h)
		if err := h.Settle(ctx); err != nil {
			t.Fatal(err)
		}
		claim(t, h)
		reply, err := s.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{protocol.NodeKey("n1")}, All: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range reply.Entries {
			said, phase := e.Record.Via, protocol.Open
			if e.Key.Kind == protocol.OfBlock {
				said, phase = e.Owner.Via, h.Ledger.State.Block(e.Key.Block).Phase
			}
			if !slices.Equal(said, via) || phase != protocol.Open {
				t.Errorf("%+v: says %v, not %v; %s", e.Key, said, via, phase)
			}
		}
	}
}

// A host that is reached at an address of the pool claims nothing: that address would be a container's. What it has it keeps, and may give back.
func TestReachedInThePool(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	c.define("pods", small)
	h := openHost(t, c.dial("pods", slack.Of(5*time.Second)), placesIn(dir, "n1"), "n1")
	join(t, h)
	id := claim(t, h)
	if err := h.Ledger.Reached(ctx, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.9.0.77")}); err != nil {
		t.Fatal(err)
	}
	join(t, h)
	if err := h.Settle(ctx); err != nil || h.Ledger.State.Block(id).Phase != protocol.Open {
		t.Errorf("block %s is %s: %v", id, h.Ledger.State.Block(id).Phase, err)
	}
	_, err := h.Claim(ctx, pool.Families[0])
	refused(t, err, fault.Config, "via: 10.9.0.77: is an address of the pool's, in block 4/00000004")
	if done, err := h.Release(ctx, id); !done || err != nil {
		t.Errorf("given back: %v, %v", done, err)
	}
}
