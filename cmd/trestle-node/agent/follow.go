package agent

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// Neighbour is a host's block, and where its owner is reached. Of two words on a block the one with the higher epoch holds.
type Neighbour struct {
	Block netip.Prefix
	Node  string
	Epoch int64
	Via   []netip.Addr
}

// Reach makes others' blocks reachable. It is told all blocks each time, this host's among them, and finds out itself what there is to do.
type Reach interface {
	Set(ctx context.Context, neighbours []Neighbour) error
}

// MTU says what a Reach leaves of the underlay's: 0 for all.
type MTU func() (int, error)

// WholeMTU is where nothing is taken of it.
func WholeMTU() (int, error) { return 0, nil }

// follow hears what changes in the store: what is ours wakes the agent, whose blocks are which goes to Reach. What cannot be heard any more is looked at anew.
func (a *Agent) follow(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		if err := a.hear(ctx); err != nil && ctx.Err() == nil {
			a.Life.Failed("watch", err)
		}
		Pull(a.told)
		Sleep(ctx, pause(failures))
	}
}

func (a *Agent) hear(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n := neighbours{dirty: make(chan struct{}, 1), blocks: make(map[protocol.Key]protocol.Entry)}
	known := protocol.Mark{}
	if seen := a.seen.Load(); seen != nil {
		known = *seen
	}
	after := known.Latest
	if a.Reach != nil {
		reply, err := a.Store.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{protocol.PoolKey()}, All: true})
		if err == nil { // of a backup nothing is believed: blocks that it does not know have containers, to whom the ways stay
			known.Latest = max(known.Latest, a.heard.Load())
			err = sameStore(known, reply.Mark)
		}
		if err != nil {
			return err
		}
		for _, e := range reply.Entries {
			n.take(e)
		}
		after = reply.Latest
		go a.tell(ctx, &n)
	}
	return a.Store.Watch(ctx, a.node, a.Reach != nil, after, func(e protocol.Entry) {
		if e.Key.Kind != protocol.OfBlock {
			Pull(a.told)
		}
		a.heard.Store(max(a.heard.Load(), e.Revision))
		n.take(e)
	})
}

// tell hands on what is known, once for all that came meanwhile.
func (a *Agent) tell(ctx context.Context, n *neighbours) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.dirty:
		}
		for failures := 1; ; failures++ {
			err := a.Reach.Set(ctx, n.list())
			a.Life.Told(Ways, err)
			if err == nil || ctx.Err() != nil {
				break
			}
			patience, stop := context.WithTimeout(ctx, pause(failures))
			select {
			case <-patience.Done():
			case <-n.dirty: // what cannot be done for one is not waited for by others
			}
			stop()
		}
	}
}

// breathe says that the host lives, again and again.
func (a *Agent) breathe(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		if err := a.Store.Breathe(ctx, a.node, a.boot, a.TTL); err != nil && ctx.Err() == nil {
			a.Life.Failed("liveness", err)
		}
		Pull(a.told) // the lease went: how do things stand?
		Sleep(ctx, pause(failures))
	}
}

// Sleep waits, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// neighbours are all blocks as they are known.
type neighbours struct {
	mutex  sync.Mutex
	dirty  chan struct{}
	pool   pool.Definition
	blocks map[protocol.Key]protocol.Entry
}

func (n *neighbours) take(e protocol.Entry) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	switch {
	case e.Key.Kind == protocol.OfPool:
		n.pool = e.Pool
	case e.Key.Kind != protocol.OfBlock:
		return
	case e.Revision == 0:
		delete(n.blocks, e.Key)
	default:
		n.blocks[e.Key] = e
	}
	Pull(n.dirty)
}

// list is in the order of the blocks. Those of a flat pool need no way: hosts are on one link.
func (n *neighbours) list() []Neighbour {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	list := make([]Neighbour, 0, len(n.blocks))
	for key, e := range n.blocks {
		if prefix, ok := n.pool.Prefix(key.Block); ok && n.pool.Shape == pool.Routed {
			list = append(list, Neighbour{prefix, e.Owner.Node, e.Revision, e.Owner.Via})
		}
	}
	slices.SortFunc(list, func(a, b Neighbour) int { return a.Block.Addr().Compare(b.Block.Addr()) })
	return list
}
