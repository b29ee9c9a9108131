// Package agent is a host that shares a pool: it asks the store what package protocol says, keeps the answers in the ledger, and, while it runs, has a
// block in hand before one is needed. An ADD never waits for it.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Store is what answers.
type Store interface {
	// Do asks once; after an error nobody knows whether it was done, or will be.
	Do(context.Context, protocol.Request) (protocol.Reply, error)
	// Alive is the boot under which the node was heard of lately, "" for none.
	Alive(ctx context.Context, node string) (string, error)
}

// Host is this one, with its ledger open.
type Host struct {
	Store     Store
	Ledger    *ledger.Ledger
	MaxBlocks int // of a family
	// Vacate is told a block that is to be given back, of which this host's kernel is to have nothing from then on; nil: it never has.
	Vacate func(block netip.Prefix) error
	// Several is told that containers of several IPv4 blocks, of these CIDRs, are to be on this host, each in a subnet of its own; nil: nobody wants to know.
	Several func(cidrs []netip.Prefix)

	heard  atomic.Int64 // the latest revision of which the store told without being asked
	stale  []pool.ID    // open blocks whose keys say that this host is reached where it is not
	opened int          // IPv4 blocks that were open when that was told, or not
}

func (h *Host) state() protocol.State { return h.Ledger.State }

// ask sends a request of ours and learns from its answer.
func (h *Host) ask(ctx context.Context, q protocol.Request) (protocol.Reply, error) {
	reply, err := h.Store.Do(ctx, q)
	if err != nil {
		return reply, err
	}
	if err := sameStore(protocol.Mark{Cluster: h.Ledger.Cluster, Latest: max(h.Ledger.Revision, h.heard.Load())}, reply.Mark); err != nil {
		return reply, err
	}
	if err := h.state().OwnUnread(reply.Entries); err != nil {
		return reply, err
	}
	next := h.Ledger.Content
	next.State = next.State.Answer(q, reply)
	next.Cluster, next.Revision = reply.Cluster, reply.Latest
	if e, ok := reply.Of(protocol.PoolKey()); ok && e.Revision != 0 {
		next.Pool = e.Pool
	}
	if err := h.Ledger.Keep(ctx, next); err != nil {
		return reply, err
	}
	h.several()
	return reply, nil
}

// several tells that there are several, when there come to be more.
func (h *Host) several() {
	n := 0
	for _, id := range h.state().Opened() {
		if id.Family == 4 {
			n++
		}
	}
	if n > max(1, h.opened) && h.Several != nil && h.Ledger.Pool.Shape == pool.Routed {
		h.Several(h.Ledger.Pool.CIDRs)
	}
	h.opened = n
}

const afterRestore = "docs/cluster.md, \"After a restore\", says what to do: freeze the pool, trestle-node reconcile --restored on each host, thaw it"

// sameStore holds that the store is the one that answered before, and no earlier one: what came after a backup it does not know, others' claims among it.
func sameStore(known, m protocol.Mark) error {
	switch {
	case known.Cluster == 0:
		return nil
	case m.Cluster != known.Cluster:
		return fault.New(fault.NoService, afterRestore, "etcd: is another cluster (%x) than the one that this host's blocks are from (%x)", m.Cluster, known.Cluster)
	case m.Latest < known.Latest:
		return fault.New(fault.NoService, afterRestore, "etcd: is at revision %d, and was at %d before: a backup was restored", m.Latest, known.Latest)
	}
	return nil
}

// Join finds out how things stand, and makes this boot the one that stands in the host's record. With all, blocks are found that have the host's name
// without its knowledge.
func (h *Host) Join(ctx context.Context, all bool) error {
	known := h.Ledger.Cluster != 0
	for range 5 {
		reply, err := h.ask(ctx, h.state().Look(all && known))
		if err != nil {
			return err
		}
		if h.state().Pool == 0 {
			return fault.New(fault.NoService, "trestle-node init, once for all hosts", "pool: network %s: is not defined", h.Ledger.Network)
		}
		h.stale = outdated(h.state(), reply)
		record, _ := reply.Of(protocol.NodeKey(h.state().Node))
		if !known && record.Revision != 0 { // who has no record has no blocks; ten thousand that are new need not read each other's
			known, all = true, true
			continue
		}
		if h.state().Record != 0 && slices.Equal(record.Record.Via, h.state().Via) {
			return nil
		}
		if err := h.alone(ctx, record); err != nil {
			return err
		}
		q, err := h.state().Register(record)
		if err != nil {
			return fault.New(fault.NoService, "reboot this machine: its containers end, and it begins anew", "%w", err)
		}
		if _, err := h.ask(ctx, q); err != nil {
			return err
		}
		if h.state().Record != 0 {
			return nil
		}
	}
	return fault.New(fault.Taken, "is there another machine of that name?", "node %s: its record changes all the time", h.state().Node)
}

// outdated are the open blocks whose keys have other addresses of this host than it has.
func outdated(s protocol.State, reply protocol.Reply) (ids []pool.ID) {
	for _, e := range reply.Entries {
		if e.Key.Kind == protocol.OfBlock && s.Block(e.Key.Block).Phase == protocol.Open && !slices.Equal(e.Owner.Via, s.Via) {
			ids = append(ids, e.Key.Block)
		}
	}
	return ids
}

// alone refuses a name under which another boot was heard of lately: a clone, or this machine before a reboot that was quick.
func (h *Host) alone(ctx context.Context, record protocol.Entry) error {
	if record.Revision == 0 || record.Record.Dead || record.Record.Boot == h.state().Boot {
		return nil
	}
	boot, err := h.Store.Alive(ctx, h.state().Node)
	if err != nil || boot != record.Record.Boot {
		return err
	}
	return fault.New(fault.Taken, "give one of them another name (key node); after a reboot the name is free within half a minute",
		"node %s: another machine has this name, and lives (boot %s)", h.state().Node, boot)
}

// Settle brings to an end what was left open: claims in doubt, and blocks that are ours and closed. What is ours twice over, or no more, shows here. A block
// whose key says that this host is reached elsewhere is closed and opened again: for that moment nothing new is handed out of it.
func (h *Host) Settle(ctx context.Context) error {
	var errs []error
	for _, id := range h.stale {
		errs = append(errs, h.shut(ctx, id))
	}
	h.stale = nil
	for _, b := range h.state().Blocks {
		var err error
		switch b.Phase {
		case protocol.Wanted:
			_, err = h.claim(ctx, b.ID)
		case protocol.Closed:
			err = h.reopen(ctx, b.ID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (h *Host) shut(ctx context.Context, id pool.ID) (err error) {
	next := h.Ledger.Content
	if next.State, err = h.state().Close(id); err != nil {
		return nil // it is not open any more
	}
	return h.Ledger.Keep(ctx, next)
}

func (h *Host) reopen(ctx context.Context, id pool.ID) error {
	for range 3 { // a re-opening of ours that nobody answered may come between
		q, err := h.state().Reopen(id, nonce())
		if err != nil {
			return nil // it is open, or another's
		}
		if _, err := h.ask(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// Release gives a block back, and says whether it has: one out of which something is reserved stays. One whose fate is open stays closed.
func (h *Host) Release(ctx context.Context, id pool.ID) (bool, error) {
	if h.state().Block(id).Phase == protocol.Open {
		if closed, err := h.Ledger.CloseUnused(ctx, id); err != nil || !closed {
			return false, err
		}
	}
	if unused, err := h.Ledger.Unused(ctx, id); err != nil || !unused {
		return false, err
	}
	if prefix, ok := h.Ledger.Pool.Prefix(id); ok && h.Vacate != nil && h.Ledger.Pool.Shape == pool.Routed {
		if err := h.Vacate(prefix); err != nil {
			return false, err
		}
	}
	for range 3 {
		q, err := h.state().GiveBack(id)
		if err != nil {
			break
		}
		if _, err := h.ask(ctx, q); err != nil {
			return false, err
		}
	}
	return h.state().Block(id).Phase == 0, nil
}

func nonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return fmt.Sprintf("%x", b)
}
