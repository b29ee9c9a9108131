package agent

import (
	"context"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Restored takes the store for what it is now, after a backup was restored, and says there again what this host has; it returns the blocks that are
// others' by then. The pool must be frozen: what one host has not said yet another must not claim.
func (h *Host) Restored(ctx context.Context) (lost []pool.ID, err error) {
	reply, err := h.Store.Do(ctx, h.state().Look(false))
	if err != nil {
		return nil, err
	}
	definition, _ := reply.Of(protocol.PoolKey())
	record, _ := reply.Of(protocol.NodeKey(h.state().Node))
	if !definition.Pool.Frozen {
		return nil, fault.New(fault.Config, afterRestore, "pool: network %s: is not frozen", h.Ledger.Network)
	}
	had := h.state().Blocks
	next := h.Ledger.Content
	next.Cluster, next.Revision, next.State.Blocks = 0, 0, nil
	next.State.Pool, next.State.Record = definition.Revision, 0 // by which what is wanted is wanted
	if record.Record.Boot == h.state().Boot && !record.Record.Dead {
		next.State.Record = record.Revision
	}
	for _, b := range had {
		next.State.Blocks = append(next.State.Blocks, protocol.Block{ID: b.ID, Phase: protocol.Wanted, Nonce: nonce()})
	}
	if err := h.Ledger.Keep(ctx, next); err != nil {
		return nil, err
	}
	if err := h.Join(ctx, true); err != nil {
		return nil, err
	}
	for range 2 { // what the backup has under our name shows at the first, and is opened at the second
		if err := h.Settle(ctx); err != nil {
			return nil, err
		}
	}
	for _, b := range had {
		if h.state().Block(b.ID).Phase != protocol.Open {
			lost = append(lost, b.ID)
		}
	}
	return lost, nil
}
