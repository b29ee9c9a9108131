package portrait

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/order"
)

// cell is the box that an attachment is drawn in.
func (p *painter) cell(a *observe.Attachment) string {
	switch {
	case p.host.Namespace(a.Namespace) != nil && !p.beyond[a.Namespace]:
		return a.Namespace
	case a.HostLink != "":
		return a.HostLink
	}
	return a.ID
}

// drawContainers draws every namespace but the host's and those beyond uplinks.
func (p *painter) drawContainers() {
	namespaces := slices.Clone(p.host.Namespaces)
	order.By(namespaces, func(a, b *observe.Namespace) int { return compare(a.Name, b.Name) })
	for _, n := range namespaces {
		if n.Host || p.beyond[n.ID] {
			continue
		}
		b := draw.Box{ID: n.ID, Kind: draw.Namespace, Lane: p.laneOfNamespace(n), Title: cmp.Or(n.Name, n.ID), Names: n.Paths}
		if n.Closed != "" {
			b.Why = "unknown: " + n.Closed
		}
		for _, a := range p.host.Attachments {
			if a.Namespace == n.ID {
				p.know(&b, a, n)
			}
		}
		p.add(b)
		for _, l := range n.Links {
			if l.Name != "lo" {
				p.drawInterface(n, l)
			}
		}
	}
}

// know adds to a namespace's box what is known of an attachment in it.
func (p *painter) know(b *draw.Box, a *observe.Attachment, n *observe.Namespace) {
	b.Names = append(b.Names, a.ContainerID, a.ID)
	if a.Pod != "" {
		b.Title, b.Names = a.Pod, append(b.Names, n.Name, path.Base(a.Pod))
	}
	if state, _ := p.state(a); (state == draw.Broken || state == draw.Leaked) && b.State != draw.Broken {
		b.State = state // its interface says why
	}
}

// laneOfNamespace is the lane of the first of its links that has one.
func (p *painter) laneOfNamespace(n *observe.Namespace) string {
	lane := unconnected
	if n.Closed != "" {
		lane = closed
	}
	for _, l := range n.Links {
		host := p.links[l.Peer]
		switch a := p.by[l.Attachment]; {
		case a != nil:
			return p.laneOf(a)
		case host != nil && p.inside[host.ID] == p.own && p.lane[host.Master] != "":
			return p.lane[host.Master]
		case host != nil && p.inside[host.ID] == p.own:
			lane = routed
		}
	}
	for _, a := range p.host.Attachments {
		if a.Namespace == n.ID {
			return p.laneOf(a)
		}
	}
	return lane
}

func (p *painter) drawInterface(n *observe.Namespace, l *observe.Link) {
	b := draw.Box{ID: l.ID, Kind: draw.Interface, In: n.ID, Title: l.Name, Lines: p.addresses(l), Names: []string{l.MAC}}
	host := p.links[l.Peer]
	if a := p.by[l.Attachment]; a != nil {
		b.Names = append(b.Names, a.ID, a.Device)
		b.State, b.Why = p.state(a)
		b.Lines = append(b.Lines, p.what(l, a)...)
	}
	if host != nil && p.inside[host.ID] == p.own && !p.uplinks[host.ID] && b.State == draw.Foreign {
		b.State, b.Why = draw.Normal, "" // its host end says so
	}
	p.add(b)
	if l.Parent != "" {
		p.tie(l.Parent, l.ID, l.Kind, b.State)
	}
	if host != nil && p.inside[host.ID] != p.own && l.ID < host.ID && p.inside[host.ID] != n { // a pair of two containers
		p.tie(l.ID, host.ID, "", draw.Normal)
	}
	if host != nil && p.uplinks[host.ID] { // a container at the end of an uplink
		p.tie(host.ID, l.ID, "", draw.Normal)
	}
}

// what says of an interface that is neither one of a pair nor hangs on anything what it is, and of any what it is a part of.
func (p *painter) what(l *observe.Link, a *observe.Attachment) (lines []draw.Line) {
	switch {
	case a.Device != "":
		lines = append(lines, draw.Line{Text: "device " + a.Device})
	case known.Opaque(l.Kind):
		lines = append(lines, draw.Line{Text: l.Kind})
	}
	if master := p.links[l.Master]; master != nil {
		lines = append(lines, draw.Line{Text: "in " + master.Name})
	}
	return lines
}

// state is how an attachment is drawn, and why: the first reason, and how many more there are.
func (p *painter) state(a *observe.Attachment) (draw.State, string) {
	why := ""
	if len(a.Why) > 0 {
		why = a.Why[0]
	}
	if len(a.Why) > 1 {
		why += fmt.Sprintf(" (and %d more)", len(a.Why)-1)
	}
	switch a.State {
	case observe.Broken:
		return draw.Broken, why
	case observe.Half:
		return draw.Broken, "half made: " + why
	case observe.Leaked:
		return draw.Leaked, why
	}
	return strange(a.Origin)
}

// drawHostLinks draws the host's other links: ends of pairs, and what is alone.
func (p *painter) drawHostLinks() {
	for _, l := range p.own.Links {
		a := p.by[l.Attachment]
		if known.Drawn(l.Kind) == draw.Bridge || l.Name == "lo" || p.uplinks[l.ID] || a != nil && slices.Contains(p.beside[a.HostLink], l) {
			continue
		}
		b := draw.Box{ID: l.ID, Kind: known.Drawn(l.Kind), Lane: cmp.Or(p.lane[l.Master], routed), Title: l.Name, Names: []string{l.MAC}}
		b.State, b.Why = strange(l.Origin)
		inner, within := p.links[l.Peer], p.inside[l.Peer]
		paired := inner != nil && within != p.own && !p.beyond[within.ID]
		if a != nil {
			b.Lane = p.laneOf(a)
			b.Names = append(b.Names, a.ContainerID, a.ID)
			if b.State, b.Why = p.state(a); paired && a.State.Wrong() {
				b.Why = "" // its interface says so
			}
		}
		switch {
		case l.PeerHidden:
			b.Lines = append(b.Lines, draw.Line{Text: "other end not found"})
		case !paired:
			b.Lines = append(b.Lines, p.addresses(l)...)
		}
		for _, other := range p.beside[l.ID] {
			b.Lines, b.Names = append(b.Lines, draw.Line{Text: "sends by " + other.Name}), append(b.Names, other.Name)
		}
		p.add(b)
		p.tieHostLink(l, b.State)
		if l.Parent != "" {
			p.tie(l.Parent, l.ID, l.Kind, b.State)
		}
		if paired {
			p.tie(l.ID, inner.ID, "", b.State)
		}
	}
}

// tieHostLink ties a link to its bridge, or to the host that routes to it.
func (p *painter) tieHostLink(l *observe.Link, state draw.State) {
	switch {
	case l.Master != "":
		p.tie(l.Master, l.ID, "", state)
	case len(l.Addresses) > 0 && slices.ContainsFunc(l.Addresses, func(a observe.Address) bool { return a.Scope == "global" }),
		slices.ContainsFunc(p.own.Routes, func(r observe.Route) bool {
			return r.Link == l.Name && r.Table == 254 && !r.Destination.Addr().IsLinkLocalUnicast()
		}):
		p.tie(p.own.ID, l.ID, "", state)
	}
}

// drawRemains draws attachments of which no link is left.
func (p *painter) drawRemains() {
	for _, a := range p.host.Attachments {
		if p.cell(a) != a.ID || !a.State.Wrong() {
			continue
		}
		b := draw.Box{ID: a.ID, Kind: draw.HostEnd, Lane: p.laneOf(a), Title: cmp.Or(a.ContainerID, a.ID), Names: []string{a.ID}}
		b.State, b.Why = p.state(a)
		for _, address := range a.Addresses {
			b.Lines = append(b.Lines, draw.Line{Text: address})
		}
		b.Lines = few(b.Lines, "addresses")
		p.add(b)
	}
}
