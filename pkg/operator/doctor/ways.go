package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// isDefault says whether the route is a default route of the family that leads somewhere.
func isDefault(r observe.Route, is4 bool) bool {
	return r.Destination.Bits() == 0 && r.Destination.Addr().Is4() == is4 && r.Kind == ""
}

// leadsOut says whether the host has a default route.
func (p *Picture) leadsOut(is4 bool) bool {
	return slices.ContainsFunc(p.Host.Own().Routes, func(r observe.Route) bool { return isDefault(r, is4) })
}

// uplinksDown looks at the links of default routes and, where there is no such route, at those that may have had one: a link that is set down loses
// its routes.
func (p *Picture) uplinksDown() (found []Finding) {
	if len(p.routed(true))+len(p.routed(false)) == 0 {
		return nil
	}
	for _, l := range p.uplinks() {
		state := ""
		switch {
		case l.Kind == known.KindBridge && !p.ported(l): // nobody's way out: one that waits for containers, as Docker's does
			continue
		case !l.Up:
			state = "down"
		case !l.Running:
			state = "without a carrier"
		default:
			continue
		}
		remedy := "look at its cable, or at what is at its other end"
		if !l.Up {
			remedy = "ip link set " + l.Name + " up, and add its routes again (as whatever configures the host's network does)"
		}
		found = append(found, Finding{Object: "link " + l.Name, What: "the uplink " + l.Name + " is " + state, Remedy: remedy})
	}
	return found
}

// ported says whether the bridge has a port.
func (p *Picture) ported(bridge *observe.Link) bool {
	return slices.ContainsFunc(p.Host.Own().Links, func(l *observe.Link) bool { return l.Master == bridge.ID })
}

// hostRoutes looks for a host that has links to others, and no default route, where containers have one by the host.
func (p *Picture) hostRoutes() (found []Finding) {
	for _, is4 := range []bool{true, false} {
		family := map[bool]string{true: "IPv4", false: "IPv6"}[is4]
		list := p.routed(is4)
		if len(list) == 0 || p.leadsOut(is4) {
			continue
		}
		for _, l := range p.uplinks() {
			if !slices.ContainsFunc(global(l), func(own netip.Prefix) bool { return own.Addr().Is4() == is4 }) {
				continue
			}
			found = append(found, Finding{Object: "host",
				What: fmt.Sprintf("the host has no default route of %s, and %d containers have one by the host", family, len(list)), cause: family,
				Remedy: "ip route add default via ROUTER dev " + l.Name + " (as whatever configures the host's network does)"})
			break
		}
	}
	return found
}

// blackholes looks for rules of routing and for routes that throw away what containers send, or are sent.
func (p *Picture) blackholes() (found []Finding) {
	for _, a := range p.living() {
		for _, ip := range addresses(a) {
			found = append(found, throwing(p.Host.Own(), a, ip, nameOf(p.Host.Link(a.Bridge)), nameOf(p.Host.Link(a.HostLink)))...)
			if n := p.Host.Namespace(a.Namespace); n != nil && !n.Host {
				found = append(found, throwing(n, a, ip, "lo")...)
			}
			if r := p.longest(ip); r.Kind != "" && r.Kind != "local" && a.Bridge != "" {
				found = append(found, Finding{Object: name(a), cause: r.Destination.String(),
					Remedy: fmt.Sprintf("ip route del %s %s", r.Kind, r.Destination),
					What:   fmt.Sprintf("the host's route %s %s throws away what is sent to %s", r.Kind, r.Destination, ip)})
			}
		}
	}
	return append(found, p.noWayOut()...)
}

// throwing looks in one namespace for rules that throw away, before a route is looked for, what the address sends or is sent and comes in there by one of the links.
func throwing(n *observe.Namespace, a *observe.Attachment, ip netip.Addr, links ...string) (found []Finding) {
	const main = 32766 // ip-rule(8)
	for _, r := range n.Rules {
		everybody := !r.From.IsValid() && !r.To.IsValid() && r.IPv6 == ip.Is6()
		about := everybody || r.From.Contains(ip) || n.Host && r.To.Contains(ip) // what a container is sent is its own by then
		if r.Kind != "" && !r.Narrow && about && r.Priority < main && (r.In == "" || slices.Contains(links, r.In)) {
			found = append(found, Finding{Object: name(a), cause: r.Text, Remedy: fmt.Sprintf("%sip rule del priority %d", enter(n), r.Priority),
				What: fmt.Sprintf("rule %d of routing (%s) in namespace %s throws away what %s sends or is sent", r.Priority, r.Text, n.Name, ip)})
		}
	}
	return found
}

// longest is the host's longest route to the address.
func (p *Picture) longest(a netip.Addr) (best observe.Route) {
	const local = 255
	for _, r := range p.Host.Own().Routes {
		if r.Table != local && r.Destination.Contains(a) && (!best.Destination.IsValid() || r.Destination.Bits() > best.Destination.Bits()) {
			best = r
		}
	}
	return best
}

// noWayOut looks for a default route that leads nowhere, where there is no other.
func (p *Picture) noWayOut() (found []Finding) {
	for _, r := range p.Host.Own().Routes {
		is4 := r.Destination.Addr().Is4()
		if r.Destination.Bits() != 0 || r.Kind == "" || r.Link == "lo" || len(p.routed(is4)) == 0 || p.leadsOut(is4) {
			continue
		}
		found = append(found, Finding{Object: "host", What: "the host's default route is " + r.Kind,
			Remedy: "ip route del " + r.Kind + " default, and add one that leads somewhere", cause: r.Kind})
	}
	return found
}

// neighbours looks for entries that somebody made by hand, and that name another Ethernet address than whoever has the address.
func (p *Picture) neighbours() (found []Finding) {
	for _, n := range p.Host.Namespaces {
		for _, e := range n.Neighbours {
			l := n.Named(e.Link)
			if l == nil || e.State != "permanent" || e.MAC == "" {
				continue
			}
			owner := p.beside(n, l, e.Address)
			if owner == nil || strings.EqualFold(owner.MAC, e.MAC) {
				continue
			}
			found = append(found, Finding{Object: "namespace " + n.Name, Remedy: fmt.Sprintf("%sip neigh del %s dev %s", enter(n), e.Address, e.Link),
				What: fmt.Sprintf("its table of neighbours has %s at %s for ever (by %s), and %s has %s", e.Address, e.MAC, e.Link, owner.ID, owner.MAC)})
		}
	}
	return found
}

// beside finds who has the address on the other side of the link: on its other end, or on the bridge that either is a part of. nil for nobody.
func (p *Picture) beside(n *observe.Namespace, l *observe.Link, a netip.Addr) *observe.Link {
	near := []*observe.Link{p.Host.Link(l.Peer)}
	bridge := l
	if near[0] != nil && near[0].Master != "" {
		bridge = p.Host.Link(near[0].Master)
		near = append(near, bridge)
	}
	for _, other := range p.Host.Own().Links {
		if bridge != nil && other.Master == bridge.ID {
			near = append(near, p.Host.Link(other.Peer))
		}
	}
	for _, other := range near {
		if other != nil && other != l && slices.ContainsFunc(other.Addresses, func(own observe.Address) bool { return own.Prefix.Addr() == a }) {
			return other
		}
	}
	return nil
}
