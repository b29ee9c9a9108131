package page

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Of is everything about the thing on one page, but for what its plugins' CHECK says, which no picture holds.
func Of(h *observe.Host, t Thing) *Page {
	p := &Page{Title: string(t.Kind) + " " + t.Name}
	if t.Kind == KindNamespace {
		p.Sections = Context(h, t.Namespace).Sections
	}
	if t.Link != nil {
		p.add(linkSection(h, t.Namespace, t.Link))
	}
	if t.Kind == KindNetwork {
		p.Sections = append(p.Sections, network(h, t.Name)...)
	}
	if t.Address.IsValid() {
		p.add(addressSection(h, t.Address))
	}
	if t.Kind != KindNetwork {
		for _, a := range AttachmentsOf(h, t) {
			addAttachment(p, h, a, t.Kind != KindNamespace)
		}
	}
	p.Sections = slices.DeleteFunc(p.Sections, func(s Section) bool { return len(s.Rows) == 0 })
	return p
}

// AttachmentsOf are the attachments that the thing is, or is a part of.
func AttachmentsOf(h *observe.Host, t Thing) (list []*observe.Attachment) {
	for _, a := range h.Attachments {
		switch {
		case slices.Contains(t.Attachments, a),
			t.Kind == KindNamespace && a.Namespace == t.Namespace.ID,
			t.Kind == KindNetwork && a.Network == t.Name,
			t.Link != nil && (a.Link == t.Link.ID || a.HostLink == t.Link.ID),
			t.Address.IsValid() && slices.ContainsFunc(a.Addresses, func(text string) bool { return addrOf(text) == t.Address }):
			list = append(list, a)
		}
	}
	return list
}

func linkSection(h *observe.Host, n *observe.Namespace, l *observe.Link) Section {
	s := Section{Title: "link"}
	s.fact("name", fmt.Sprintf("%s (index %d)", l.Name, l.Index))
	s.fact("in", n.Name)
	s.fact("kind", l.Kind)
	s.fact("state", linkState(l))
	s.fact("mac", l.MAC)
	s.fact("mtu", fmt.Sprint(l.MTU))
	s.fact("alias", l.Alias)
	s.fact("leads to", leadsTo(h, n, l))
	s.fact("made by", string(l.Origin))
	for _, a := range l.Addresses {
		s.fact("address", a.Prefix.String())
	}
	for _, other := range n.Links {
		if other.Master == l.ID {
			s.fact("port", other.Name+" -> "+orNone(elsewhere(h, n, other.Peer)))
		}
	}
	return s
}

func orNone(text string) string {
	if text == "" {
		return "nothing that was found"
	}
	return text
}

func stateMark(a *observe.Attachment) Mark {
	if a.State.Wrong() {
		return Bad
	}
	return Plain
}

func addressSection(h *observe.Host, addr netip.Addr) Section {
	s := Section{Title: "address"}
	for _, n := range h.Namespaces {
		for _, l := range n.Links {
			for _, a := range l.Addresses {
				if a.Prefix.Addr() == addr && (n.Host || l.Name != "lo") {
					s.row(of(madeBy(a.Origin, l)), "on", fmt.Sprintf("%s in %s (%s), made by %s", l.Name, n.Name, a.Prefix, madeBy(a.Origin, l)))
				}
			}
		}
		for _, e := range n.Neighbours {
			if e.Address == addr {
				s.fact("known to", fmt.Sprintf("%s as %s by %s, %s", n.Name, e.MAC, e.Link, e.State))
			}
		}
	}
	for _, r := range h.Reservations {
		if r.Address == addr && r.Attachment == "" { // others are on their attachment's page
			s.row(Bad, "reserved", reservationText(r))
		}
	}
	return s
}

func addAttachment(p *Page, h *observe.Host, a *observe.Attachment, alone bool) {
	p.add(attachmentSection(a))
	p.add(way(h, a))
	if n := h.Namespace(a.Namespace); n != nil && alone {
		p.add(routes(n))
	}
	p.add(settings(a))
	p.add(ports(a))
	p.add(reservations(h, a))
	p.add(rules(h, a))
}

func attachmentSection(a *observe.Attachment) Section {
	s := Section{Title: "attachment"}
	s.fact("container", a.ContainerID)
	s.fact("pod", a.Pod)
	s.fact("network", a.Network)
	s.fact("interface", a.IfName)
	s.fact("device", a.Device)
	s.fact("made by", string(a.Origin))
	s.row(stateMark(a), "state", string(a.State))
	for _, why := range a.Why {
		s.row(Bad, "why", why)
	}
	s.fact("addresses", strings.Join(a.Addresses, " "))
	s.fact("namespace", a.Netns)
	if a.Since != nil {
		s.fact("since", a.Since.Format(time.RFC3339))
	}
	s.fact("remembered in", a.Result)
	return s
}

// way is where the container's packets go, device by device.
func way(h *observe.Host, a *observe.Attachment) Section {
	s := Section{Title: "way of its packets", Head: []string{"DEVICE", "IN", "STATE", "MAC", "ADDRESSES"}}
	devices, l := []string{a.Link, a.HostLink, a.Bridge}, h.Link(a.Link)
	past := l != nil && l.Peer == "" && !l.PeerHidden // the host's routes: what a link that hangs on a parent has on the host is the host's way to it
	if past {
		devices = []string{a.Link, l.Parent}
	}
	for _, id := range devices {
		if l := h.Link(id); l != nil {
			s.hop(h.Namespace(id[:strings.LastIndexByte(id, '/')]), l)
		}
	}
	own := h.Own()
	for _, r := range own.Routes {
		if !past && r.Table == mainTable && r.Destination.Bits() == 0 && own.Named(r.Link) != nil {
			s.hop(own, own.Named(r.Link))
			break
		}
	}
	for _, addr := range a.Masked {
		s.row(Plain, "outside", "", "masqueraded", "", addr+" leaves with the address of the device")
	}
	return s
}

func (s *Section) hop(n *observe.Namespace, l *observe.Link) {
	var texts []string
	for _, a := range l.Addresses {
		if a.Scope == "global" {
			texts = append(texts, a.Prefix.String())
		}
	}
	state, mark := linkState(l), of(l.Origin)
	if l.Port != nil {
		state += ", " + portState(l.Port)
	}
	if !l.Up {
		mark = Bad
	}
	s.row(mark, l.Name, n.Name, state, l.MAC, strings.Join(texts, " "))
}

// settings are what the plugins of its list were asked to do to it. Whether all is so, CHECK says.
func settings(a *observe.Attachment) Section {
	s := Section{Title: "what its plugins were asked for", Head: []string{"PLUGIN", "SETTING", "VALUE"}}
	for _, one := range a.Promise.Settings {
		s.row(Plain, one.By, one.Name, one.Value)
	}
	return s
}

func ports(a *observe.Attachment) Section {
	s := Section{Title: "published ports", Head: []string{"PORT", "LEADS TO", "BACKEND"}}
	for _, p := range a.Ports {
		s.row(Plain, portName(p), p.Target.String(), p.Backend)
	}
	return s
}

func reservations(h *observe.Host, a *observe.Attachment) Section {
	s := Section{Title: "reservations"}
	for _, r := range h.Reservations {
		if r.Attachment == a.ID {
			mark := Plain
			if r.Dead != "" {
				mark = Bad
			}
			s.row(mark, r.Address.String(), reservationText(r))
		}
	}
	return s
}

func reservationText(r *observe.Reservation) string {
	text := "network " + r.Network
	if r.Unread != "" {
		return text + ", for whom is not known: its file was not read: " + r.Unread
	}
	if r.ContainerID == "" {
		return text + ", for nobody: its file names no container"
	}
	text += ", for " + r.ContainerID
	if r.IfName != "" {
		text += "/" + r.IfName
	}
	if r.Dead != "" {
		text += "; dead: " + r.Dead
	}
	return text
}
