package observe

import (
	"context"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// file is an attachment in the making, with what only its state depends on.
type file struct {
	*Attachment
	owner    owner.ID
	hostName string // of its host link, there or not
	linked   bool   // where that link is gone, it is dead
	ours     bool   // linked, by rules that no other suite has under the same names
	beside   string // the link that stands beside the host's end
	lent     *lent.Device
	memory   *memory
	entry    cache.Entry // that the memory was read from
	reserved []*Reservation
	verdict  *Verdict // of CHECK; nil where it was not asked
}

// files are the attachments, and by who they are.
type files struct {
	list        []*file
	byOwner     map[owner.ID]*file
	byContainer map[string][]*file
}

// attach puts together what links, rules, runtimes and reservations say of each attachment.
func (r *reader) attach(ctx context.Context) {
	all := &files{byOwner: make(map[owner.ID]*file), byContainer: make(map[string][]*file)}
	r.attachLinks(all)
	r.attachDevices(all)
	for _, e := range r.results {
		r.attachResult(all, e)
	}
	for _, s := range signs(r.host.Own().Filter) {
		all.attachSign(s)
	}
	for _, v := range r.host.Reservations {
		all.attachReservation(v)
	}
	all.attachPassing(passing(r.host.Own().Filter))
	for _, f := range all.list {
		r.locate(f)
		r.host.Attachments = append(r.host.Attachments, f.Attachment)
	}
	r.besides(all)
	all.company()
	r.ask(ctx, all.list)
	for _, f := range all.list {
		f.judge(r)
		f.Relic = f.relic(r.host)
	}
	order.By(r.host.Attachments, func(a, b *Attachment) int { return strings.Compare(a.ID, b.ID) })
}

// of returns the attachment of the owner, and makes it if it is new. What was read first may be a tag that was cut short: who knows the names tells them.
func (all *files) of(o owner.Owner, origin Origin) *file {
	f := all.byOwner[o.ID]
	if f == nil {
		f = &file{Attachment: &Attachment{Origin: origin}, owner: o.ID, hostName: o.HostLink()}
		f.Network, f.ContainerID, _ = strings.Cut(o.Text, "/")
		f.ID = o.Text + "~" + hex.EncodeToString(o.ID.Owner[:4])
		all.byOwner[o.ID], all.list = f, append(all.list, f)
	}
	if network, container, ifName, whole := o.Names(); whole && f.ID != o.Text {
		f.ID, f.Network, f.ContainerID, f.IfName = o.Text, network, container, ifName
		all.byContainer[container] = append(all.byContainer[container], f)
	}
	return f
}

// find returns the container's attachment where the interface or the network is not told: the one that was given the address, if there are
// several. nil for none, or where that leaves more than one.
func (all *files) find(network, container, ifName string, a netip.Addr) *file {
	var fit, given []*file
	for _, f := range all.byContainer[container] {
		if (network == "" || f.Network == network) && (ifName == "" || f.IfName == ifName) {
			fit = append(fit, f)
			if f.memory != nil && f.memory.has(a) {
				given = append(given, f)
			}
		}
	}
	switch {
	case len(given) == 1:
		return given[0]
	case len(fit) == 1:
		return fit[0]
	}
	return nil
}

func (r *reader) attachLinks(all *files) {
	for _, l := range r.host.Own().Links {
		o, ok := owner.Parse(l.Alias)
		switch {
		case !ok:
		case l.Name == o.HostLink():
			f := all.of(o, Trestle)
			f.HostLink, f.linked = l.ID, true
		case known.Beside(l.Kind): // which may be all that is left
			all.of(o, Trestle).beside = l.Name
		}
	}
}

// attachDevices adds what was lent. Devices do not bear our mark: their aliases are their names.
func (r *reader) attachDevices(all *files) {
	list, err := lent.All()
	if err != nil {
		r.problem(Devices, err, "as root, look at the files in "+lent.Dir)
	}
	for _, d := range list {
		f := all.of(d.Owner(), Trestle)
		f.lent, f.Netns, f.Device = d, d.Netns, d.Name
	}
}

// besides tells whose the links are that stand beside a host's end: by their mark or, of the reference's, by the result that lists them.
func (r *reader) besides(all *files) {
	listed := make(map[string]*file)
	for _, f := range all.list {
		if f.memory != nil {
			for _, name := range f.memory.hostNames {
				listed[name] = f
			}
		}
	}
	for _, l := range r.host.Own().Links {
		f := listed[l.Name]
		if l.Alias != "" {
			o, _ := owner.Parse(l.Alias)
			f = all.byOwner[o.ID]
		}
		if f != nil && known.Beside(l.Kind) {
			l.Attachment = f.ID
		}
	}
}

func (r *reader) attachResult(all *files, e cache.Entry) {
	o := owner.Of(e.Network, e.ContainerID, e.IfName)
	m := remember(e)
	origin := Reference
	if slices.Contains(m.hostLinks, o.HostLink()) || len(m.hostLinks) == 0 && (m.lists(runsList) || m.device && lent.Noted(o.ID)) { // be it torn
		origin = Trestle
	}
	f := all.of(o, origin)
	f.memory, f.entry, f.Result, f.Netns, f.Promise = m, e, e.File, e.Netns, m.Promise
	f.Pod = e.Pod()
	if len(m.hostLinks) > 0 {
		f.hostName = m.hostLinks[0]
	}
	if info, err := os.Stat(e.File); err == nil {
		since := info.ModTime().UTC().Truncate(time.Second)
		f.Since = &since
	}
}

// attachSign adds what the packet filter has. Ours by the owner; the reference's by the names that it writes.
func (all *files) attachSign(s sign) {
	var f *file
	switch {
	case s.origin == Trestle && s.ifName != "":
		f = all.of(owner.Of(s.network, s.container, s.ifName), Trestle)
	case s.origin == Trestle:
		if f = all.byOwner[s.id]; f == nil {
			return
		}
	default:
		if f = all.find(s.network, s.container, s.ifName, s.address()); f == nil {
			f = all.of(owner.Of(s.network, s.container, s.ifName), Reference)
		}
	}
	f.Ruled, f.linked, f.ours = true, f.linked || s.linked, f.ours || s.ours
	if s.port != nil && !slices.Contains(f.Ports, *s.port) {
		f.Ports = append(f.Ports, *s.port)
	}
	if s.masked != "" && !slices.Contains(f.Masked, s.masked) {
		f.Masked = append(f.Masked, s.masked)
	}
}

// attachPassing adds what lets an address pass and names nobody, as the reference's rules: it is of whoever was given the address, if that is one alone.
func (all *files) attachPassing(addrs map[netip.Addr]bool) {
	given := make(map[netip.Addr][]*file)
	for _, f := range all.list {
		for _, a := range f.given() {
			if addrs[a] {
				given[a] = append(given[a], f)
			}
		}
	}
	for _, whose := range given {
		if len(whose) == 1 {
			whose[0].Ruled = true
		}
	}
}

// given are the addresses that an attachment was given, by its reservations or by what its runtime remembers, each once.
func (f *file) given() (list []netip.Addr) {
	if f.memory != nil {
		for _, text := range f.memory.addresses {
			if p, err := netip.ParsePrefix(text); err == nil && !slices.Contains(list, p.Addr()) {
				list = append(list, p.Addr())
			}
		}
	}
	for _, v := range f.reserved {
		if !slices.Contains(list, v.Address) {
			list = append(list, v.Address)
		}
	}
	return list
}

// attachReservation finds whose an address is. Files of old versions do not tell the interface.
func (all *files) attachReservation(v *Reservation) {
	if v.ContainerID == "" {
		return
	}
	f := all.find(v.Network, v.ContainerID, v.IfName, v.Address)
	if f == nil {
		f = all.of(owner.Of(v.Network, v.ContainerID, v.IfName), Reference)
		if f.HostLink == "" {
			f.hostName = "" // of a link nothing is known
		}
	}
	v.Attachment = f.ID
	f.reserved = append(f.reserved, v)
}
