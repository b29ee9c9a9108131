package trace

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// neighbours is how a link that hangs on a parent hears the others that do.
type neighbours uint8

const (
	direct    neighbours = iota // by the parent
	reflected                   // by what is at the parent's other end
	none
	routed // by routes, and not by whom they are sent to
)

// stack reads of a link what it has from its place on a parent.
func (l *link) stack(of netlink.Link) {
	switch own := of.(type) {
	case *netlink.Vlan:
		l.tag = own.VlanId
	case *netlink.Macvlan:
		l.hears = map[netlink.MacvlanMode]neighbours{netlink.MACVLAN_MODE_BRIDGE: direct, netlink.MACVLAN_MODE_VEPA: reflected}[own.Mode]
		if own.Mode == netlink.MACVLAN_MODE_PRIVATE {
			l.hears = none
		}
	case *netlink.IPVlan:
		l.hears = map[netlink.IPVlanFlag]neighbours{netlink.IPVLAN_FLAG_PRIVATE: none, netlink.IPVLAN_FLAG_VEPA: reflected}[own.Flag]
		if own.Mode != netlink.IPVLAN_MODE_L2 {
			l.hears = routed
		}
	}
}

// over says whether l hangs on the parent, which is in the place.
func (t *Town) over(at *Place, l *link, base *Place, parent *link) bool {
	if !known.Stacked(l.kind) || l.ParentIndex != parent.Index {
		return false
	}
	where, found := t.parent(at, l)
	return where == base && found == parent
}

// parent returns the link that l hangs on, and where that is; nil where it is in no namespace that was entered.
func (t *Town) parent(p *Place, l *link) (*Place, *link) {
	for _, other := range t.Places {
		if (l.NetNsID < 0) != (other == p) || l.NetNsID >= 0 && p.number(other) != l.NetNsID {
			continue
		}
		if parent := other.links[l.ParentIndex]; parent != nil {
			return other, parent
		}
	}
	return nil, nil
}

// above returns the link on the parent that takes what comes in there with the tag for the address, and its place. One that has the address goes before one that
// answers for others.
func (t *Town) above(base *Place, parent *link, tag int, a netip.Addr) (*Place, *link) {
	takes := []func(*Place, *link) bool{
		func(p *Place, l *link) bool { return p.local(a, l) },
		func(p *Place, l *link) bool { return proxies(p, l, a) && p.holder(a) != nil },
	}
	if tag != 0 {
		takes = []func(*Place, *link) bool{func(_ *Place, l *link) bool { return l.tag == tag }}
	}
	for _, is := range takes {
		for _, p := range t.Places {
			for _, l := range p.links {
				if t.over(p, l, base, parent) && (l.tag == 0) == (tag == 0) && is(p, l) {
					return p, l
				}
			}
		}
	}
	return nil, nil
}

// byParent hands a packet to the link that l hangs on: to another that hangs there, or out. It passes no rules of IP where the parent is.
func (j *journey) byParent(p *Place, l *link, next netip.Addr) *end {
	base, parent := j.town.parent(p, l)
	switch {
	case base == nil:
		return j.lose(p, "it goes out by what %s hangs on, which is in no namespace that can be entered", l.Name)
	case !parent.up():
		return j.drop(base, "ip link set "+parent.Name+" up", "%s, on which %s hangs, is down", parent.Name, l.Name)
	case l.hears == routed:
		return j.lose(p, "%s is a link of layer 3: which way its parent sends is not followed", l.Name)
	case l.tag != 0 && j.tag != 0:
		return j.lose(p, "VLAN %d in VLAN %d is not followed", j.tag, l.tag)
	case l.tag != 0:
		j.tag = l.tag
		j.say(p, nil, "%s: by %s, in VLAN %d", l.Name, parent.Name, l.tag)
		return j.cross(base, parent, next)
	}
	at, other := j.town.above(base, parent, 0, next)
	switch {
	case other != nil && other != l && (l.hears == none || other.hears == none):
		return j.drop(base, "use mode bridge", "%s and %s are kept apart (mode private)", l.Name, other.Name)
	case other != nil && other != l && l.hears == direct && other.hears == direct:
		j.say(base, nil, "%s: from %s to %s", parent.Name, l.Name, other.Name)
		return j.enter(at, other, next)
	case base.local(next, parent):
		return j.drop(base, "set hostShim in the network's configuration", "%s has %s, and the kernel keeps a link and those that hang on it apart", parent.Name, next)
	}
	j.say(p, nil, "%s: by %s", l.Name, parent.Name)
	return j.cross(base, parent, next)
}

// enter takes a packet in at a link: up to what hangs on it, to its bridge, or to the place.
func (j *journey) enter(p *Place, l *link, next netip.Addr) *end {
	if !l.up() {
		return j.drop(p, "ip link set "+l.Name+" up"+within(p), "%s is down", l.Name)
	}
	j.packet.In, j.packet.Out, j.packet.PortIn, j.packet.PortOut, j.packet.Mark = ruleset.Link{}, ruleset.Link{}, ruleset.Link{}, ruleset.Link{}, 0
	if e := j.device(p, l, ruleset.Ingress); e != nil {
		return e
	}
	if at, above := j.town.above(p, l, j.tag, next); above != nil {
		j.tag = 0
		return j.enter(at, above, next)
	}
	switch {
	case j.tag != 0 && l.port != nil:
		return j.lose(p, "which ports of a bridge VLAN %d has is not followed", j.tag)
	case j.tag != 0:
		return j.drop(p, "", "nobody takes VLAN %d at %s", j.tag, l.Name)
	case l.port != nil:
		return j.toBridge(p, l, next)
	case !p.local(next, l) && !proxies(p, l, next):
		return j.drop(p, "", "nobody at %s answers for %s", l.Name, next)
	}
	return j.arrive(p, l, false)
}
