package agent

import (
	"context"
	"math/rand/v2"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// tries is after how many blocks of others the whole pool is looked at.
const tries = 16

// Claim gets one more block of the family.
func (h *Host) Claim(ctx context.Context, f pool.Family) (pool.ID, error) {
	for range 5 { // the definition may change meanwhile
		id, again, err := h.search(ctx, f)
		if err != nil || !again {
			return id, err
		}
		if err := h.Join(ctx, false); err != nil {
			return id, err
		}
	}
	return pool.ID{}, fault.New(fault.TryLater, "call again", "pool: network %s: its definition changes all the time", h.Ledger.Network)
}

// search tries blocks until one is ours; again where what it goes by has changed.
func (h *Host) search(ctx context.Context, f pool.Family) (id pool.ID, again bool, err error) {
	if h.Ledger.Pool.Frozen {
		return id, false, fault.New(fault.NoService, "trestle-node init without frozen thaws it", "pool: network %s: is frozen", h.Ledger.Network)
	}
	if h.count(f) >= h.MaxBlocks {
		return id, false, fault.New(fault.Exhausted, "raise maxBlocks, or remove containers", "node %s: has %d IPv%d blocks, as many as it may", h.state().Node, h.count(f), f)
	}
	if err := h.outside(); err != nil {
		return id, false, err
	}
	record, definition, tried := h.state().Record, h.state().Pool, 0
	try := func(id pool.ID) (bool, error) {
		tried++
		return h.claim(ctx, id)
	}
	for id := range h.Ledger.Pool.Search(h.Ledger.Network, h.state().Node, f) {
		if h.state().Block(id).Phase > protocol.Wanted {
			continue
		}
		if ours, err := try(id); ours || err != nil {
			return id, false, err
		}
		if h.state().Record != record || h.state().Pool != definition {
			return id, true, nil
		}
		if tried == tries {
			break
		}
	}
	return h.pick(ctx, f)
}

// outside holds that this host is not reached at an address of the pool: a container would get it, on this host or on another.
func (h *Host) outside() error {
	for _, via := range h.state().Via {
		if id, in := h.Ledger.Pool.Find(via); in {
			return fault.New(fault.Config, "give this host another address, or the pool CIDRs in which no host is", "via: %s: is an address of the pool's, in block %s: a container would get it", via, id)
		}
	}
	return nil
}

// pick looks at the whole pool, and tries one of those that are free, at random: who looks at the same time shall not meet.
func (h *Host) pick(ctx context.Context, f pool.Family) (id pool.ID, again bool, err error) {
	reply, err := h.ask(ctx, h.state().Look(true))
	if err != nil {
		return id, false, err
	}
	taken := make(map[uint32]bool)
	for _, e := range reply.Entries {
		if e.Key.Kind == protocol.OfBlock && e.Key.Block.Family == f && h.Ledger.Pool.Has(e.Key.Block) && e.Revision != 0 {
			taken[e.Key.Block.Index] = true
		}
	}
	n := h.Ledger.Pool.Len(f)
	if uint32(len(taken)) >= n {
		return id, false, fault.New(fault.Exhausted, "add a CIDR to the pool (trestle-node init), or forget nodes that are gone (trestle-node list)",
			"pool: network %s: none of its %d IPv%d blocks is free", h.Ledger.Network, n, f)
	}
	id = pool.ID{Family: f, Index: rand.Uint32N(n)}
	for taken[id.Index] {
		id.Index = (id.Index + 1) % n
	}
	ours, err := h.claim(ctx, id)
	return id, !ours, err
}

// claim asks for the block, and says whether it is ours now. That it may become so is on disk before it is asked for.
func (h *Host) claim(ctx context.Context, id pool.ID) (bool, error) {
	next := h.Ledger.Content
	var q protocol.Request
	var err error
	if next.State, q, err = h.state().Claim(id, nonce()); err != nil {
		return false, fault.New(fault.Internal, "call again", "%w", err)
	}
	if err := h.Ledger.Keep(ctx, next); err != nil {
		return false, err
	}
	if _, err := h.ask(ctx, q); err != nil {
		return false, err
	}
	return h.state().Block(id).Phase == protocol.Open, nil
}

// count is how many blocks of the family the host has, or may have.
func (h *Host) count(f pool.Family) (n int) {
	for _, b := range h.state().Blocks {
		if b.ID.Family == f {
			n++
		}
	}
	return n
}
