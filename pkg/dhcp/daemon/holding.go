package daemon

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
)

// holding is one lease, or the place of one that is asked for.
type holding struct {
	sync.Mutex // one thing at a time is done about it
	whose      string
	rec        *lease.Record // nil: there is none
	timer      *time.Timer

	// Under the daemon's lock.
	give func() // ends what is asked of a server now
	dels int    // how many are there to give it back
}

// take returns the lease of that name, or a place for it, for the caller alone until he yields it.
func (d *Daemon) take(whose string) *holding {
	for {
		h := d.holding(whose)
		h.Lock()
		d.lock.Lock()
		is := d.held[whose] == h
		d.lock.Unlock()
		if is {
			return h
		}
		h.Unlock() // there is a new one by now
	}
}

func (d *Daemon) holding(whose string) *holding {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.placed(whose)
}

func (d *Daemon) placed(whose string) *holding {
	if d.held[whose] == nil {
		d.held[whose] = &holding{whose: whose}
	}
	return d.held[whose]
}

var errDEL = errors.New("a DEL came")

// asking is the context of what is asked of a server about a lease. A DEL ends it, which does not wait for a server.
func (d *Daemon) asking(ctx context.Context, h *holding) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	d.lock.Lock()
	defer d.lock.Unlock()
	h.give = func() { cancel(errDEL) }
	if h.dels > 0 {
		h.give()
	}
	return ctx, func() {
		d.lock.Lock()
		defer d.lock.Unlock()
		h.give = nil
		cancel(nil)
	}
}

// reserve marks the place of the lease of that name for a DEL, and ends what is asked about it, and whatever would be before the DEL has it: until then it is nobody else's place.
func (d *Daemon) reserve(whose string) *holding {
	d.lock.Lock()
	defer d.lock.Unlock()
	h := d.placed(whose)
	h.dels++
	if h.give != nil {
		h.give()
	}
	return h
}

// seize is take for the DEL that reserved the place.
func (d *Daemon) seize(h *holding) {
	h.Lock()
	d.lock.Lock()
	defer d.lock.Unlock()
	h.dels--
}

// yield gives it to the next; the place of a lease that there is not goes, unless a DEL waits for it.
func (d *Daemon) yield(h *holding) {
	d.lock.Lock()
	if h.rec == nil && h.dels == 0 && d.held[h.whose] == h {
		delete(d.held, h.whose)
	}
	d.lock.Unlock()
	h.Unlock()
	d.rest()
}

// forget drops a lease and its record.
func (d *Daemon) forget(h *holding) {
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.rec == nil {
		return
	}
	if err := packet.ByHand(func() error { return h.rec.Remove(d.dir()) }); err != nil {
		log.Printf("%s: record: %v", h.whose, err)
	}
	h.rec = nil
}
