package observe

import (
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
)

// locate finds the attachment's links and namespace.
func (r *reader) locate(f *file) {
	if l := r.host.Own().Named(f.hostName); l != nil && f.hostName != "" && (f.Origin == Reference) == (l.Alias == "") {
		f.HostLink = l.ID
	}
	if n := r.byPath(f.Netns); n != nil {
		f.Namespace = n.ID
	}
	if host := r.host.Link(f.HostLink); host != nil {
		f.Link, f.Bridge, host.Attachment = host.Peer, host.Master, f.ID
		host.Origin = f.Origin
		r.claimBridge(f)
	}
	if n := r.host.Namespace(f.Namespace); n != nil && f.Link == "" && f.alone() {
		if l := n.Named(f.IfName); l != nil {
			f.Link = l.ID
		}
	}
	if f.lent != nil && !f.lives() {
		f.strand(r.host.Own())
	}
	if l := r.host.Link(f.Link); l != nil {
		f.Namespace, _, _ = cutLast(l.ID, "/")
		f.IfName = l.Name
		l.Attachment = f.ID
		if l.Origin == Trestle { // by its mark, as lo's that our loopback set up
			f.Origin = Trestle
		}
		l.Origin = f.Origin
	}
	f.addresses(r.host)
}

// alone says whether the interface is one without another end: macvlan, loopback, a device.
func (f *file) alone() bool {
	return f.lent != nil || f.memory != nil && f.memory.device && len(f.memory.hostLinks) == 0
}

// strand finds the device on the host, where the kernel has left it.
func (f *file) strand(host *Namespace) {
	for _, l := range host.Links {
		if f.lent.Is(l.Name, l.Alias, l.MAC, l.Index) {
			f.Stranded, l.Attachment = l.ID, f.ID
			return
		}
	}
}

// claimBridge says of a bridge that bears nobody's mark, and that a result of the reference tells of, that the reference made it.
func (r *reader) claimBridge(f *file) {
	b := r.host.Link(f.Bridge)
	if b == nil || f.memory == nil || f.Origin != Reference || b.Origin != Foreign || !slices.Contains(f.memory.hostNames, b.Name) {
		return
	}
	b.Origin = Reference
	for i := range b.Addresses {
		if b.Addresses[i].Origin == Foreign {
			b.Addresses[i].Origin = Reference
		}
	}
}

func (r *reader) byPath(path string) *Namespace {
	if path == "" {
		return nil
	}
	return r.byInode[netns.Number(path)]
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// addresses are those of the interface, or else those that were given.
func (f *file) addresses(h *Host) {
	if l := h.Link(f.Link); l != nil {
		for _, a := range l.Addresses {
			if a.Scope == "global" {
				f.Addresses = append(f.Addresses, a.Prefix.String())
			}
		}
	}
	if len(f.Addresses) == 0 && f.memory != nil {
		f.Addresses = f.memory.addresses
	}
	if len(f.Addresses) == 0 {
		for _, v := range f.reserved {
			f.Addresses = append(f.Addresses, v.Address.String())
		}
	}
}

// company says of lo, which bears no mark, who set it up: whoever made the container's other interfaces.
func (all *files) company() {
	marked := make(map[string]bool)
	for _, f := range all.list {
		marked[f.ContainerID] = marked[f.ContainerID] || f.Origin == Trestle
	}
	for _, f := range all.list {
		if f.memory != nil && f.memory.lists(unmarked) && len(f.memory.hostLinks) == 0 && marked[f.ContainerID] {
			f.Origin = Trestle
		}
	}
}

// judge says how the attachment is. What was not seen is no fault, and no proof of anything.
func (f *file) judge(r *reader) {
	dead, faults, unseen := f.death(r.host), f.faults(r), f.unseen(r)
	forgotten := f.memory == nil && !r.hidden.results
	switch {
	case dead != "":
		f.State, f.Why = Leaked, []string{dead}
	case forgotten && f.HostLink == "" && f.Link == "":
		f.State, f.Why = Half, []string{"no runtime remembers it, and it has no link: " + f.rest() + " is all there is"}
	case forgotten && len(f.Addresses) == 0 && r.host.Link(f.Link) != nil:
		f.State, f.Why = Half, []string{"no runtime remembers it, and it has no address"}
	case len(faults) > 0:
		f.State, f.Why = Broken, faults
		if f.verdict != nil {
			f.Remedy = f.verdict.Remedy
		}
	case len(unseen) > 0:
		f.State, f.Why = Unseen, unseen
	default:
		f.State = Whole
	}
}

func (f *file) rest() string {
	var parts []string
	if len(f.reserved) > 0 {
		parts = append(parts, "a reservation")
	}
	if f.lent != nil {
		parts = append(parts, "what the device "+f.lent.Name+" was like")
	}
	if f.beside != "" {
		parts = append(parts, "the link "+f.beside)
	}
	if len(f.Ports)+len(f.Masked) > 0 || len(parts) == 0 {
		parts = append(parts, "rules")
	}
	return strings.Join(parts, " and ")
}
