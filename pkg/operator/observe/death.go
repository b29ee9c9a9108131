package observe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// hidden is what a reader without the right to it did not see, beside namespaces, which say so themselves.
type hidden struct {
	results      bool // of runtimes, some or all
	reservations bool
	unlisted     map[string]bool // networks whose reservations could not be listed; an empty name: nobody's could
}

// death is the proof that the container is dead; empty where there is none, or where something shows that it lives. A link may be removed, and a
// namespace lose its name, while the container lives.
func (f *file) death(h *Host) string {
	if f.paired(h) {
		return ""
	}
	for _, v := range f.reserved {
		if v.Dead != "" {
			return v.Dead
		}
	}
	if f.HostLink != "" || f.Link != "" || f.lives() {
		return ""
	}
	switch {
	case f.Stranded != "":
		return "its device " + f.lent.Name + " is back on the host, and its network namespace is gone"
	case f.linked:
		return "its link " + f.hostName + " is gone"
	case f.memory != nil && len(f.memory.hostLinks) > 0:
		return "its link " + f.hostName + " and its network namespace are gone"
	}
	return ""
}

// relic is the link of an earlier attachment of the same names whose rules of ours are left: another suite deleted it, and made the one that lives.
func (f *file) relic(h *Host) string {
	link := owner.Owner{ID: f.owner}.HostLink()
	if !f.ours || f.memory == nil || len(f.memory.hostLinks) == 0 || slices.Contains(f.memory.hostLinks, link) || h.Own().Named(link) != nil || !f.lives() {
		return ""
	}
	return link
}

// paired says whether the host's link has its other end in another namespace, which is there as long as that is.
func (f *file) paired(h *Host) bool {
	l := h.Link(f.HostLink)
	return l != nil && (l.PeerHidden || l.Peer != "" && !strings.HasPrefix(l.Peer, hostID+"/"))
}

// lives says whether the network namespace is there that the runtime gave, or that host-local or we wrote down.
func (f *file) lives() bool {
	for _, v := range f.reserved {
		if v.lives {
			return true
		}
	}
	return f.memory != nil && f.entry.Lives() || f.lent != nil && (cache.Entry{Netns: f.lent.Netns}).Lives()
}

// unseen lists what could not be looked at of what the attachment should have.
func (f *file) unseen(r *reader) (list []string) {
	if f.verdict != nil {
		return nil
	}
	note := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if f.memory == nil && r.hidden.results {
		note("what its runtime remembers was not read")
	}
	if n := r.host.Namespace(f.Namespace); n != nil && n.Closed != "" {
		note("its network namespace: %s", n.Closed)
	} else if l := r.host.Link(f.HostLink); l != nil && l.PeerHidden || n == nil && f.memory != nil && f.memory.device && f.entry.Lives() {
		note("its network namespace was not found or entered")
	}
	if r.host.Own().Filter == nil && (f.memory == nil || len(f.Promise.Ports) > 0 || f.Promise.Masked) {
		note("the packet filter was not read")
	}
	if r.hidden.reservations && f.memory != nil && f.memory.reserves && len(f.reserved) == 0 {
		note("its reservation was not read")
	}
	return list
}
