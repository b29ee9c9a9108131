package agent

import (
	"context"

	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Restored takes the store for what it is now, after a backup was restored, and says there again what this host has; it returns the blocks that are
// others' by then. The pool must be frozen: what one host has not said yet another must not claim. It may be called again, as long as that lasts: one that was lost
// to a host which the backup names may be free when that has said what it has.
func (h *Host) Restored(ctx context.Context) (lost []pool.ID, err error) {
	reply, err := h.Store.Do(ctx, h.state().Look(false))
	if err == nil {
		err = h.state().OwnUnread(reply.Entries)
	}
	if err != nil {
		return nil, err
	}
	definition, _ := reply.Of(protocol.PoolKey())
	record, _ := reply.Of(protocol.NodeKey(h.state().Node))
	if !definition.Pool.Frozen {
		return nil, fault.New(fault.Config, afterRestore, "pool: network %s: is not frozen", h.Ledger.Network)
	}
	next := h.Ledger.Content
	if next.Again == nil || next.Again.Frozen != definition.Revision {
		next.Again = &ledger.Again{Frozen: definition.Revision, Blocks: next.State.Opened()}
	}
	had := next.Again.Blocks
	next.Cluster, next.Revision = 0, 0
	next.State = next.State.Again(definition, record, had, nonce) // by which what is wanted is wanted
	if err := h.Ledger.Keep(ctx, next); err != nil {
		return nil, err
	}
	if err := h.Join(ctx, true); err != nil {
		return nil, err
	}
	return h.sayAgain(ctx, had)
}

// sayAgain opens what the host had, and gives back what the backup has under its name beside that, unless containers have addresses of it.
func (h *Host) sayAgain(ctx context.Context, had []pool.ID) (lost []pool.ID, err error) {
	for _, id := range had {
		if h.state().Block(id).Phase < protocol.Closed {
			_, err = h.claim(ctx, id)
		}
		if err == nil && h.state().Block(id).Phase == protocol.Closed {
			err = h.reopen(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		if h.state().Block(id).Phase != protocol.Open {
			lost = append(lost, id)
		}
	}
	for _, b := range h.state().Blocks {
		if b.Phase != protocol.Closed {
			continue
		}
		if _, err := h.Release(ctx, b.ID); err != nil {
			return nil, err
		}
	}
	return lost, nil
}
