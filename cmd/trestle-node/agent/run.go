package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Watched is a store that says when something changes, and to which a host can say that it lives.
type Watched interface {
	Store
	Watch(ctx context.Context, node string, others bool, after int64, changed func(protocol.Entry)) error
	Breathe(ctx context.Context, node, boot string, ttl time.Duration) error
}

// Agent is a host that runs.
type Agent struct {
	Host
	Store  Watched
	Limits Limits
	Reach  Reach // nil: nobody wants to know
	TTL    time.Duration
	Life   *life.Life // nil: nobody looks
	// Ready is told the pool when the host has addresses to hand out, and again and again; nil: nobody wants to know. So it is when something happens in the
	// directories of Beside.
	Ready  func(pool.Definition) error
	Beside []string

	node, boot string        // of the ledger, which others than Run must not read
	pulled     chan struct{} // something has changed here
	told       chan struct{} // something has changed in the store
	// seen is the store as far as it was looked at; nil: not yet.
	seen atomic.Pointer[protocol.Mark]
}

// Blocks is the part of an agent that must be well before its host is ready, beside Ways where it has a Reach: what it asks of the store is answered, and it has
// what it needs.
const Blocks = "blocks"

// Run keeps the host in blocks until ctx ends, and then changes nothing. What fails is tried again, later each time.
func (a *Agent) Run(ctx context.Context) error {
	a.Host.Store, a.MaxBlocks = a.Store, a.Limits.MaxBlocks
	a.node, a.boot = a.Ledger.State.Node, a.Ledger.State.Boot
	a.pulled, a.told = make(chan struct{}, 1), make(chan struct{}, 1)
	if err := listen(ctx, a.pulled, a.Ledger.Dirs()...); err != nil {
		return err
	}
	for _, dir := range a.Beside {
		_ = listen(ctx, a.pulled, dir) // what cannot be watched is looked at when something else happens
	}
	all, look, follows := true, true, false
	for failures := 0; ctx.Err() == nil; {
		later, err := a.round(ctx, all, look)
		if ctx.Err() != nil {
			return nil
		}
		unready := a.ready()
		a.Life.Told(Blocks, errors.Join(err, unready))
		a.Life.Gauge(life.Blocks, float64(len(a.Ledger.State.Blocks)))
		if a.seen.Load() != nil && !follows { // it stands in its record; that it gets no block, of a pool that is full, is another matter
			go a.follow(ctx)
			go a.breathe(ctx)
			follows = true
		}
		switch {
		case err == nil:
			all, look, failures = false, false, 0
		default:
			failures++
			later, look = time.Now().Add(pause(failures)), fault.Code(err) != fault.Exhausted
		}
		if unready != nil && err == nil {
			later = time.Now().Add(pause(7))
		}
		look = a.wait(ctx, later) || look
	}
	return nil
}

// ready tells who wants to know where there is an open block of each family of the pool.
func (a *Agent) ready() error {
	if a.Ready == nil || len(a.state().Blocks) == 0 {
		return nil
	}
	for _, f := range pool.Families {
		open := func(b protocol.Block) bool { return b.ID.Family == f && b.Phase == protocol.Open }
		if a.Ledger.Pool.Len(f) > 0 && !slices.ContainsFunc(a.state().Blocks, open) {
			return nil
		}
	}
	return a.Ready(a.Ledger.Pool)
}

// round brings the host to what it should have; first the files, which somebody may have removed or spoiled.
func (a *Agent) round(ctx context.Context, all, look bool) (later time.Time, err error) {
	if err := a.Ledger.Keep(ctx, a.Ledger.Content); err != nil {
		return later, err
	}
	if look {
		had := a.state().Blocks
		err := a.Join(ctx, all)
		a.mourn(had)
		if err != nil {
			return later, err
		}
		a.seen.Store(&protocol.Mark{Cluster: a.Ledger.Cluster, Latest: a.Ledger.Revision})
		if err := a.Settle(ctx); err != nil {
			return later, err
		}
	}
	for range a.Limits.MaxBlocks {
		used, err := a.Ledger.Usage()
		if err != nil {
			return later, err
		}
		w := WishesOf(a.Ledger.Content, used, a.Limits, time.Now())
		if len(w.Claim)+len(w.Release) == 0 {
			return w.Later, nil
		}
		if err := a.grant(ctx, w); err != nil {
			return later, err
		}
	}
	return later, nil
}

// mourn says which open blocks the store has not got under this host's name any more, which nothing does that we have: its containers must hear of it from somebody.
func (a *Agent) mourn(had []protocol.Block) {
	for _, b := range had {
		if b.Phase == protocol.Open && a.state().Block(b.ID).Phase == 0 {
			prefix, _ := a.Ledger.Pool.Prefix(b.ID)
			a.Life.Failed("lost", fault.New(fault.Taken, "end the containers that have addresses of it: trestle ls; then ask who wrote to the store",
				"block %s (%s): is not this host's any more: somebody has taken it away in the store, and its addresses may be others' soon", b.ID, prefix))
		}
	}
}

func (a *Agent) grant(ctx context.Context, w Wishes) error {
	for _, f := range w.Claim {
		id, err := a.Claim(ctx, f)
		if err != nil {
			return err
		}
		a.Life.Did("claimed block", "block", id.String())
	}
	for _, id := range w.Release {
		done, err := a.Release(ctx, id)
		if err != nil {
			return err
		}
		if done {
			a.Life.Did("gave block back", "block", id.String())
		}
	}
	return nil
}

// wait waits until something changes, or it is later; it says whether the store has something new.
func (a *Agent) wait(ctx context.Context, later time.Time) bool {
	var at <-chan time.Time
	if !later.IsZero() {
		timer := time.NewTimer(time.Until(later))
		defer timer.Stop()
		at = timer.C
	}
	select {
	case <-a.told:
		return true
	case <-ctx.Done():
	case <-at:
	case <-a.pulled:
	}
	return false
}

// pause is how long is waited after so many failures: no two hosts alike, or those that fail together try together again.
func pause(failures int) time.Duration {
	most := min(500*time.Millisecond<<min(failures-1, 6), 30*time.Second)
	return 50*time.Millisecond + rand.N(most)
}

// Pull wakes whoever waits at the channel; once is enough.
func Pull(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
