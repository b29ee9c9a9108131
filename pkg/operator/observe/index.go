package observe

import (
	"net/netip"
	"slices"
	"sync"
)

// index finds things by a word of theirs: of two with one word, the first. It is made at the first question, which is not asked before the list is whole: what
// is asked for each of a thousand containers is not to look at a thousand each time.
type index[W comparable, T any] struct {
	once sync.Once
	by   map[W]T
}

func (x *index[W, T]) find(word W, each func(note func(W, T))) T {
	x.once.Do(func() {
		x.by = make(map[W]T)
		each(func(w W, one T) {
			if _, there := x.by[w]; !there {
				x.by[w] = one
			}
		})
	})
	return x.by[word]
}

// Namespace returns the namespace with the id, nil for none.
func (h *Host) Namespace(id string) *Namespace {
	return h.namespaces.find(id, func(note func(string, *Namespace)) {
		for _, n := range h.Namespaces {
			note(n.ID, n)
		}
	})
}

// Link returns the link with the id, nil for none.
func (h *Host) Link(id string) *Link {
	n, name, _ := cutLast(id, "/")
	if in := h.Namespace(n); in != nil {
		return in.Named(name)
	}
	return nil
}

// Attachment returns the attachment with the id, nil for none.
func (h *Host) Attachment(id string) *Attachment {
	return h.attachments.find(id, func(note func(string, *Attachment)) {
		for _, a := range h.Attachments {
			note(a.ID, a)
		}
	})
}

// Own is the host's own namespace.
func (h *Host) Own() *Namespace { return h.Namespaces[0] }

// Seen says whether all could be looked at: where not, what is not found may be there all the same.
func (h *Host) Seen() bool {
	return len(h.Problems) == 0 && !slices.ContainsFunc(h.Namespaces, func(n *Namespace) bool { return n.Closed != "" })
}

// Named returns the namespace's link of the name, nil for none.
func (n *Namespace) Named(name string) *Link {
	return n.links.find(name, func(note func(string, *Link)) {
		for _, l := range n.Links {
			note(l.Name, l)
		}
	})
}

// Has says whether a link of the namespace has the address.
func (n *Namespace) Has(a netip.Addr) bool {
	return n.addresses.find(a, func(note func(netip.Addr, *Link)) {
		for _, l := range n.Links {
			for _, own := range l.Addresses {
				note(own.Prefix.Addr(), l)
			}
		}
	}) != nil
}
