package observe

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Verdict is what CHECK says: each drift, and what to do about them.
type Verdict struct {
	Drifts []string
	Remedy string
}

// ask lets the plugins CHECK every attachment that lives and bears our marks, several at a time, as runtimes call them. Whole is what they call
// whole; of what others made they would miss our own rules.
func (r *reader) ask(ctx context.Context, list []*file) {
	if r.options.Check == nil {
		return
	}
	SideBySide(len(list), func(i int) {
		if f := list[i]; ctx.Err() == nil && f.memory != nil && f.Origin == Trestle && f.death(r.host) == "" {
			f.verdict = r.options.Check(ctx, f.entry)
		}
	})
}

// SideBySide does something for each number below count, as many at a time as there are processors, and returns when all are done.
func SideBySide(count int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}

// faults are what is missing of what a runtime remembers: by CHECK, and where that was not asked, by what is seen.
func (f *file) faults(r *reader) (list []string) {
	h := r.host
	switch {
	case f.memory == nil:
		return nil
	case f.verdict != nil:
		return f.verdict.Drifts
	}
	note := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	f.compareLinks(h, note)
	f.compareAddresses(r, note)
	f.compareRoutes(h, note)
	for _, p := range f.Promise.Ports {
		if h.Own().Filter != nil && !slices.ContainsFunc(f.Ports, func(q Port) bool { return q.HostPort == p.HostPort && q.Protocol == p.Protocol }) {
			note("port %d/%s: no rule publishes it", p.HostPort, p.Protocol)
		}
	}
	if f.Promise.Masked && len(f.Masked) == 0 && h.Own().Filter != nil && len(f.memory.addresses) > 0 {
		note("masquerade: no rule")
	}
	return list
}

// compareLinks looks at the pair, and at the bridge that its host end is to be a port of.
func (f *file) compareLinks(h *Host, note func(string, ...any)) {
	if len(f.memory.hostLinks) > 0 && f.HostLink == "" {
		note("link %s: not found on the host", f.hostName)
	}
	for _, id := range []string{f.HostLink, f.Link} {
		if l := h.Link(id); l != nil && !l.Up {
			note("link %s: down", l.Name)
		}
	}
	if n := h.Namespace(f.Namespace); n != nil && n.Closed == "" && f.Link == "" && f.alone() && slices.Contains(f.memory.addressed, f.IfName) {
		note("link %s: not found in the container", f.IfName)
	}
	if f.Namespace == "" && f.Netns != "" && f.alone() && !f.lives() { // no link of the host's tells of it
		note("network namespace %s: gone", f.Netns)
	}
	if f.Promise.Bridge == "" {
		return
	}
	switch bridge := h.Own().Named(f.Promise.Bridge); {
	case bridge == nil:
		note("bridge %s: not found on the host", f.Promise.Bridge)
	case !bridge.Up:
		note("bridge %s: down", bridge.Name)
	case f.HostLink != "" && f.Bridge != bridge.ID:
		note("link %s: not a port of %s", f.hostName, bridge.Name)
	}
}

// compareRoutes looks for the gateway on the host, and for the routes in the container.
func (f *file) compareRoutes(h *Host, note func(string, ...any)) {
	for _, a := range f.Promise.Gateways {
		if !h.Own().Has(a) {
			note("gateway %s: not on the host", a)
		}
	}
	n := h.Namespace(f.Namespace)
	if n == nil || n.Closed != "" {
		return
	}
	for _, want := range f.Promise.Routes {
		if !slices.ContainsFunc(n.Routes, func(r Route) bool {
			return r.Destination == want.Destination && r.Kind == "" && (!want.Gateway.IsValid() || r.Gateway == want.Gateway)
		}) {
			note("route to %s: not in the container", want.Destination)
		}
	}
}

// compareAddresses looks for each address that was given, on the interface and among the reservations.
func (f *file) compareAddresses(r *reader, note func(string, ...any)) {
	for _, text := range f.memory.addresses {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			continue
		}
		if l := r.host.Link(f.Link); l != nil && !slices.ContainsFunc(l.Addresses, func(a Address) bool { return a.Prefix == prefix }) {
			note("address %s: not on %s", prefix, l.Name)
		}
		if f.memory.reserves && !r.hidden.reservations && !slices.ContainsFunc(f.reserved, func(v *Reservation) bool { return v.Address == prefix.Addr() }) {
			note("address %s: not reserved", prefix.Addr())
		}
	}
}
