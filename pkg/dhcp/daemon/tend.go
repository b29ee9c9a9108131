package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// last is how long is asked for a lease that ended, while no daemon was there to renew it, say: mostly its address is still free.
const last = 2 * time.Second

// wind sets the timer for the next thing that is to be done about a lease. The holding must be locked, or known to nobody yet.
func (d *Daemon) wind(h *holding) {
	ends, does := h.rec.Ends()
	if !does || h.rec.Over != "" {
		return
	}
	d.after(h, min(h.rec.Began+h.rec.Renew, ends)-lease.Now())
}

func (d *Daemon) after(h *holding, wait time.Duration) {
	if h.timer != nil {
		h.timer.Stop()
	}
	h.timer = time.AfterFunc(max(wait, 0), func() { d.tend(h) })
}

// tend renews a lease: of its server, then of any, then not at all.
func (d *Daemon) tend(h *holding) {
	server, by := h.due()
	defer d.turns.take(server, by)()
	h.Lock()
	defer d.yield(h)
	if h.rec == nil || h.rec.Over != "" || d.ctx.Err() != nil {
		return
	}
	r := *h.rec
	place, err := Enter(d.path(r.Netns), 0, r.IfName)
	switch {
	case err != nil && gone(err), err == nil && !place.is(r):
		if err == nil {
			place.Leave()
		}
		log.Printf("%s: the interface is gone, and its lease is not renewed", r.Whose())
		d.forget(h)
		return
	case err != nil:
		d.unreachable(h, err)
		return
	}
	defer place.Leave()
	d.renew(h, place.client(r, d.Options))
}

// due says whom to ask about a lease, and by when. While it waits for its turn it may be given back.
func (h *holding) due() (server netip.Addr, by time.Duration) {
	h.Lock()
	defer h.Unlock()
	if h.rec != nil {
		server = h.rec.Server
		by, _ = h.rec.Ends()
	}
	return server, by
}

// gone says whether the error means that the container, or its interface, is not there.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) // a path that is no namespace any more
}

// unreachable is a container into which one cannot go now.
func (d *Daemon) unreachable(h *holding, err error) {
	if ends, _ := h.rec.Ends(); lease.Now() >= ends {
		d.over(h, fmt.Sprintf("it ended, and was not renewed: %v", err))
		return
	}
	log.Printf("%s: %v", h.whose, err)
	d.again(h, true)
}

func (d *Daemon) renew(h *holding, c lease.Client) {
	now := lease.Now()
	ends, _ := h.rec.Ends()
	rebind := h.rec.Began + h.rec.Rebind
	everybody, left := now >= rebind, max(ends-now, last)
	if !everybody { // nobody waits for the one server beyond the time when all are asked
		left = max(rebind-now, lease.Shortest)
	}
	ctx, stop := context.WithTimeout(d.ctx, left)
	defer stop()
	ctx, done := d.asking(ctx, h)
	defer done()
	terms, err := c.Renew(ctx, h.rec.Terms, everybody, min(d.Patience, max(lease.Shortest, left/4)))
	switch {
	case err == nil:
		d.renewed(h, terms)
	case lease.Refused(err):
		d.over(h, err.Error())
	case d.ctx.Err() != nil, errors.Is(context.Cause(ctx), errDEL): // whoever comes after this daemon goes on, or gives it back
	case now >= ends:
		d.over(h, "it ended, and no server renewed it")
	default:
		d.again(h, everybody)
	}
}

// renewed takes the new times in. What else has changed the container does not have: that is told, once and to whoever asks.
func (d *Daemon) renewed(h *holding, terms lease.Terms) {
	if differs := h.rec.Differs(terms); differs != "" {
		if h.rec.Told == "" {
			log.Printf("%s: the server has changed its mind, and the container has not: add it anew: %s", h.rec.Whose(), differs)
		}
		h.rec.Told = "the server has changed its mind: " + differs
	} else {
		h.rec.Told = ""
	}
	h.rec.Began, h.rec.Server, h.rec.ServerMAC = terms.Began, terms.Server, terms.ServerMAC
	h.rec.Renew, h.rec.Rebind, h.rec.End = terms.Renew, terms.Rebind, terms.End
	d.keep(h)
	d.wind(h)
}

// again is half of the time until everybody is asked, or until the end (RFC 2131, section 4.4.5); at once where everybody has not been asked, and may be by now.
func (d *Daemon) again(h *holding, everybody bool) {
	now := lease.Now()
	next, _ := h.rec.Ends()
	switch rebind := h.rec.Began + h.rec.Rebind; {
	case now < rebind:
		next = rebind
	case !everybody:
		next = now
	}
	d.after(h, min(max((next-now)/2, lease.Shortest), next-now))
}

// over is the end of a lease that the container still has: its address may be somebody else's now, so the interface goes down.
func (d *Daemon) over(h *holding, why string) {
	h.rec.Over = why
	done := "the interface goes down" // said when it is so
	if err := d.change(*h.rec, rtnl.SetDown(h.rec.IfName)); err != nil {
		done = err.Error()
	}
	log.Printf("%s: lease %s: %s: %s", h.rec.Whose(), h.rec.Addr, why, done)
	d.keep(h)
}

func (d *Daemon) keep(h *holding) {
	if err := packet.ByHand(func() error { return h.rec.Write(d.dir()) }); err != nil {
		log.Printf("%s: record: %v", h.rec.Whose(), err)
	}
}
