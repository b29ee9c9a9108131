// Package portrait says what of a host is drawn, and where: an observed host in, a picture out.
package portrait

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Lanes of what belongs to no bridge.
const (
	routed      = "routed"        // links that the host routes to without a bridge
	unconnected = "not connected" // containers that no link leads to from the host
	closed      = "not seen"      // containers that were not looked into: what leads there is not known
)

// painter makes one picture.
type painter struct {
	draw.Picture
	host    *observe.Host
	own     *observe.Namespace
	links   map[string]*observe.Link
	inside  map[string]*observe.Namespace // by a link's identifier
	by      map[string]*observe.Attachment
	uplinks map[string]bool
	beyond  map[string]bool            // namespaces at the far end of an uplink
	lane    map[string]string          // of a bridge
	filters map[string]string          // by lane
	beside  map[string][]*observe.Link // of a host's end: what stands beside it
}

// Of draws the host.
func Of(h *observe.Host) draw.Picture {
	p := &painter{
		host: h, own: h.Own(), links: map[string]*observe.Link{}, inside: map[string]*observe.Namespace{}, by: map[string]*observe.Attachment{},
		uplinks: map[string]bool{}, beyond: map[string]bool{}, lane: map[string]string{}, filters: map[string]string{},
		beside: map[string][]*observe.Link{},
	}
	p.Title = "The network of this host"
	for _, n := range h.Namespaces {
		for _, l := range n.Links {
			p.links[l.ID], p.inside[l.ID] = l, n
		}
	}
	for _, a := range h.Attachments {
		p.by[a.ID] = a
	}
	p.findUplinks()
	p.findBesides()
	p.nameLanes()
	p.drawOutside()
	p.drawHost()
	p.drawFilters()
	p.drawBridges()
	p.drawContainers()
	p.drawHostLinks()
	p.drawRemains()
	for _, problem := range h.Problems {
		p.Notes = append(p.Notes, strings.TrimSuffix(fmt.Sprintf("%s: not read: %s; %s", problem.Object, problem.Cause, problem.Remedy), "; "))
	}
	return p.Picture
}

func (p *painter) add(b draw.Box) { p.Boxes = append(p.Boxes, b) }

func (p *painter) tie(from, to, label string, state draw.State) {
	p.Edges = append(p.Edges, draw.Edge{From: from, To: to, Label: label, State: state})
}

// findUplinks finds the links that default routes lead to, and network cards, be they ports of a bridge or not; and what is at their far ends.
func (p *painter) findUplinks() {
	for _, l := range p.own.Links {
		isCard := l.Kind == "device" && l.Name != "lo"
		if isCard || p.isDefault(l) && known.Drawn(l.Kind) != draw.Bridge {
			p.uplinks[l.ID] = true
			if n := p.inside[l.Peer]; n != nil && p.isBeyond(n) {
				p.beyond[n.ID] = true
			}
		}
	}
}

// findBesides finds the links that stand beside a host's end. They are told of with that: nothing leads to them but what comes in there.
func (p *painter) findBesides() {
	for _, l := range p.own.Links {
		if a := p.by[l.Attachment]; a != nil && known.Beside(l.Kind) && p.links[a.HostLink] != nil {
			p.beside[a.HostLink] = append(p.beside[a.HostLink], l)
		}
	}
}

// isDefault says whether a default route of the host leads to the link.
func (p *painter) isDefault(l *observe.Link) bool {
	return slices.ContainsFunc(p.own.Routes, func(r observe.Route) bool { return isDefault(r) && r.Link == l.Name })
}

func isDefault(r observe.Route) bool {
	return r.Destination.IsValid() && r.Destination.Bits() == 0 && r.Kind == ""
}

// isBeyond is true for a namespace that is not a container: none of its links is anybody's attachment.
func (p *painter) isBeyond(n *observe.Namespace) bool {
	return !n.Host && !slices.ContainsFunc(n.Links, func(l *observe.Link) bool { return l.Attachment != "" })
}

// nameLanes calls each bridge's lane by the networks on it, or by the bridge.
func (p *painter) nameLanes() {
	networks := map[string][]string{}
	for _, a := range p.host.Attachments {
		if a.Bridge != "" && a.Network != "" && !slices.Contains(networks[a.Bridge], a.Network) {
			networks[a.Bridge] = append(networks[a.Bridge], a.Network)
		}
	}
	for _, l := range p.own.Links {
		if known.Drawn(l.Kind) == draw.Bridge {
			p.lane[l.ID] = l.Name
			if names := networks[l.ID]; len(names) > 0 {
				slices.Sort(names)
				p.lane[l.ID] = strings.Join(names, ", ")
			}
		}
	}
}

// laneOf is where an attachment is drawn: with its bridge, or else with its network.
func (p *painter) laneOf(a *observe.Attachment) string {
	if lane := p.lane[a.Bridge]; lane != "" {
		return lane
	}
	for _, b := range p.host.Attachments {
		if b.Network == a.Network && p.lane[b.Bridge] != "" {
			return p.lane[b.Bridge]
		}
	}
	return cmp.Or(a.Network, routed)
}

// drawOutside draws where default routes lead, and the uplinks.
func (p *painter) drawOutside() {
	for _, l := range p.own.Links {
		if !p.uplinks[l.ID] {
			continue
		}
		outside := draw.Box{ID: "outside", Kind: draw.Outside, Title: "outside"}
		if n := p.inside[l.Peer]; n != nil && p.beyond[n.ID] {
			outside = draw.Box{ID: n.ID, Kind: draw.Outside, Title: n.Name, Lines: p.addresses(p.links[l.Peer])}
		}
		if !slices.ContainsFunc(p.Boxes, func(b draw.Box) bool { return b.ID == outside.ID }) {
			p.add(outside)
		}
		label := ""
		for _, r := range p.own.Routes {
			if isDefault(r) && r.Link == l.Name && label == "" {
				label = "default route"
				if r.Gateway.IsValid() {
					label = "default via " + r.Gateway.String()
				}
			}
		}
		p.tie(outside.ID, l.ID, label, draw.Normal)
	}
	for _, l := range p.own.Links {
		if p.uplinks[l.ID] {
			p.add(draw.Box{ID: l.ID, Kind: draw.Uplink, Title: l.Name, Lines: p.addresses(l), Names: []string{l.MAC}})
			if l.Master != "" {
				p.tie(l.ID, l.Master, "", draw.Normal)
			} else {
				p.tie(l.ID, p.own.ID, "", draw.Normal)
			}
		}
	}
}

// drawHost draws the host as the router that it is.
func (p *painter) drawHost() {
	var families []string
	for _, f := range [][2]string{{"IPv4", "ipv4/ip_forward"}, {"IPv6", "ipv6/conf/all/forwarding"}} {
		if value := p.own.Sysctls[f[1]]; value != "" && value != "0" {
			families = append(families, f[0])
		}
	}
	text := "forwards nothing"
	if len(families) > 0 {
		text = "forwards " + strings.Join(families, " and ")
	}
	p.add(draw.Box{ID: p.own.ID, Kind: draw.Router, Title: "host", Lines: []draw.Line{{Text: text}}, Names: []string{"host"}})
}

// many is how many of one sort of text a box shows.
const many = 6

// addresses are those of a link that others can use, or else of any.
func (p *painter) addresses(l *observe.Link) []draw.Line {
	var lines []draw.Line
	for _, a := range l.Addresses {
		if a.Scope == "global" {
			lines = append(lines, draw.Line{Text: a.Prefix.String()})
		}
	}
	return few(lines, "addresses")
}

// few leaves the first of many lines, and says how many more there are.
func few(lines []draw.Line, what string) []draw.Line {
	if len(lines) <= many {
		return lines
	}
	return append(lines[:many-1:many-1], draw.Line{Text: fmt.Sprintf("and %d more %s", len(lines)-many+1, what)})
}
