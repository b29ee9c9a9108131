package step

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/site"
)

const (
	firstTable = 100     // as the reference numbers them
	lastResort = 1 << 31 // added to the metric of a default route in whose place the configuration names another: it is kept, and not used
	main       = unix.RT_TABLE_MAIN
)

// sourcing is what a container has of routing by source, seen at once.
type sourcing struct {
	Sourced
	index  int // of the interface; 0: it is gone
	rules  []rtnl.Rule
	routes []rtnl.Held
	addrs  map[int][]rtnl.Addr // by links
}

func (r Sourced) look(container *site.Side) (v sourcing, err error) {
	v.Sourced = r
	link, err := find(container, r.IfName)
	if err != nil {
		return v, err
	}
	if link != nil {
		v.index = link.Attrs().Index
	}
	if v.rules, err = container.Conn.Rules(); err != nil {
		return v, fmt.Errorf("rules: %w", err)
	}
	if v.routes, err = container.Conn.Routes(); err != nil {
		return v, fmt.Errorf("routes: %w", err)
	}
	ranked(v.routes)
	if v.addrs, err = container.Conn.AllAddrs(); err != nil {
		return v, fmt.Errorf("addresses: %w", err)
	}
	return v, nil
}

// lack is what Apply would do: rules and routes to add, and routes of main to remove, each in its order.
type lack struct {
	rules  []rtnl.Rule
	routes []rtnl.Held
	spare  []rtnl.Held
}

func (v sourcing) lacks() (l lack) {
	last, hinted := uint32(firstTable-1), v.Hints
	for _, src := range v.Sources {
		at := slices.IndexFunc(v.rules, func(r rtnl.Rule) bool { return v.leads(r) && r.From.Addr() == src.Addr.Addr() })
		rule := v.rule(src)
		switch {
		case at >= 0:
			rule = v.rules[at]
			hinted = hinted || rule.Maker == rtnl.ProtoHinted         // by another entry of the list
			src.Asked = src.Asked && rule.Maker != unix.RTPROT_UNSPEC // the reference lets a default route that is there go before
		case v.Table == 0:
			rule.Table = v.left(src)
			if rule.Table == 0 {
				last = v.free(last + 1)
				rule.Table = last
			}
		}
		if at < 0 {
			l.rules = append(l.rules, rule)
		}
		if v.Table != 0 {
			continue
		}
		for _, h := range v.wanted(src, rule.Table) {
			if !slices.ContainsFunc(v.routes, func(o rtnl.Held) bool { return o.Table == h.Table && o.Leads(h) }) {
				l.routes = append(l.routes, h)
			}
		}
		before, then := v.yields(src, rule.Table)
		l.spare, l.routes = append(l.spare, before...), append(l.routes, then...)
	}
	if v.Table == 0 {
		l.spare = append(l.spare, v.spare(hinted)...)
		l.routes = append(l.routes, v.hints()...)
	}
	return l
}

// rule is what leads from the address, but for a table that is its own.
func (v sourcing) rule(src Source) rtnl.Rule {
	rule := rtnl.Rule{Kind: unix.RTN_UNICAST, From: netip.PrefixFrom(src.Addr.Addr(), src.Addr.Addr().BitLen()), Maker: rtnl.Proto}
	switch {
	case v.Table != 0:
		rule.Table, rule.Maker = v.Table, rtnl.ProtoLed
	case v.Hints:
		rule.Maker = rtnl.ProtoHinted
	}
	return rule
}

// left is the table of an address whose rule somebody took away: none leads there, and it has the way to the subnet that the kernel or we made; 0 for none.
func (v sourcing) left(src Source) uint32 {
	for _, h := range v.routes {
		led := slices.ContainsFunc(v.rules, func(r rtnl.Rule) bool { return r.Table == h.Table })
		made := h.Protocol == unix.RTPROT_KERNEL || h.Protocol == rtnl.Proto
		if h.Table >= firstTable && !led && made && h.Link == v.index && h.Dst == src.Addr.Masked() && (h.Src == src.Addr.Addr() || !h.Src.IsValid() || h.Dst.Addr().Is6()) {
			return h.Table
		}
	}
	return 0
}

// free is the first number from first on that neither a rule leads to nor a route is in.
func (v sourcing) free(first uint32) uint32 {
	for taken := true; taken; {
		taken = slices.ContainsFunc(v.rules, func(r rtnl.Rule) bool { return r.Table == first }) ||
			slices.ContainsFunc(v.routes, func(h rtnl.Held) bool { return h.Table == first })
		if taken {
			first++
		}
	}
	return first
}

// leads says whether a rule is of the kind that was asked for, by us or by the reference, whose rules have no maker.
func (v sourcing) leads(r rtnl.Rule) bool {
	switch {
	case !r.Plain():
		return false
	case v.Table != 0:
		return r.Table == v.Table && (r.Maker == rtnl.ProtoLed || r.Maker == unix.RTPROT_UNSPEC)
	}
	return filled(r) || r.Maker == unix.RTPROT_UNSPEC && r.Table >= firstTable
}

// filled says whether a rule of ours leads to a table of ours.
func filled(r rtnl.Rule) bool { return r.Maker == rtnl.Proto || r.Maker == rtnl.ProtoHinted }

// moved are the routes of main that lead out by the interface, of the families that addresses are of. What routers advertise is the kernel's, which would put
// it back; and what belongs to an address that nobody named stays with it.
func (v sourcing) moved() (list []rtnl.Held) {
	for _, h := range v.routes {
		ours := slices.ContainsFunc(v.Sources, func(s Source) bool { return s.Addr.Addr().Is4() == h.Dst.Addr().Is4() })
		if ours && h.Table == main && h.Link == v.index && h.Kind == unix.RTN_UNICAST && h.Protocol != unix.RTPROT_RA && h.Protocol != rtnl.Proto && !v.others(h) {
			list = append(list, h)
		}
	}
	return list
}

// ranked puts routes into the order in which they can be added: those on the link first, since gateways are reached by them.
func ranked(routes []rtnl.Held) {
	order.By(routes, func(a, b rtnl.Held) int { return cmp.Compare(rank(a), rank(b)) })
}

func rank(h rtnl.Held) int {
	switch {
	case h.Direct():
		return 0
	case h.Dst.Bits() > 0:
		return 1
	}
	return 2
}

// others says whether the route belongs to an address of the interface that is none of the sources.
func (v sourcing) others(h rtnl.Held) bool {
	return slices.ContainsFunc(v.addrs[v.index], func(a rtnl.Addr) bool {
		if a.Addr().IsLinkLocalUnicast() || slices.ContainsFunc(v.Sources, func(s Source) bool { return s.Addr.Masked() == a.Masked() }) {
			return false
		}
		return h.Src == a.Addr() || h.Via.IsValid() && a.Contains(h.Via) || h.Dst == a.Masked()
	})
}

// spare is what is moved out of main but for what stays there as well: ways to neighbours by their link's own addresses, and where hints are asked for, what is on the link.
func (v sourcing) spare(hinted bool) (list []rtnl.Held) {
	for _, h := range v.moved() {
		if !h.Dst.Addr().IsLinkLocalUnicast() && !(hinted && h.Dst.Addr().Is4() && h.Scope == unix.RT_SCOPE_LINK) {
			list = append(list, h)
		}
	}
	return list
}

// wanted are the routes of an address' table.
func (v sourcing) wanted(src Source, table uint32) (list []rtnl.Held) {
	for _, h := range v.moved() {
		if !v.concerns(h, src) {
			continue
		}
		h.Table = table
		if h.Src.IsValid() && h.Src != src.Addr.Addr() {
			h.Src, h.Protocol = src.Addr.Addr(), rtnl.Proto
		}
		if h.Dst.Bits() == 0 && src.Asked {
			h.Metric |= lastResort
		}
		list = append(list, h)
	}
	own := v.own(src, table)
	has := func(dst netip.Prefix) bool {
		there := func(h rtnl.Held) bool { return h.Dst == dst && h.Table == table && h.Metric < lastResort }
		return slices.ContainsFunc(list, there) || slices.ContainsFunc(v.routes, there)
	}
	if subnet := src.Addr.Masked(); !subnet.IsSingleIP() && !has(subnet) {
		list = append([]rtnl.Held{own}, list...)
	}
	way := own
	way.Dst, way.Via, way.Scope, way.Src = netip.PrefixFrom(own.Dst.Addr(), 0).Masked(), src.Gateway, unix.RT_SCOPE_UNIVERSE, netip.Addr{}
	if way.Via.IsValid() && (src.Asked || !has(way.Dst)) {
		list = append(list, way)
	}
	return list
}

// yields are the default routes in an address' table that are to be used no more, as another entry of the list put them there, which names no gateway; and what becomes of them.
func (v sourcing) yields(src Source, table uint32) (before, then []rtnl.Held) {
	for _, h := range v.routes {
		ours := src.Asked && h.Table == table && h.Link == v.index && h.Dst.Addr().Is4() == src.Gateway.Is4()
		if ours && h.Dst.Bits() == 0 && h.Metric < lastResort && h.Via != src.Gateway {
			before = append(before, h)
			h.Metric |= lastResort
			then = append(then, h)
		}
	}
	return before, then
}

// own is our route to the subnet of an address.
func (v sourcing) own(src Source, table uint32) rtnl.Held {
	h := rtnl.Held{Family: unix.AF_INET6, Kind: unix.RTN_UNICAST, Protocol: rtnl.Proto, Link: v.index, Table: table, Dst: src.Addr.Masked(), Src: src.Addr.Addr()}
	if h.Src.Is4() {
		h.Family, h.Scope = unix.AF_INET, unix.RT_SCOPE_LINK
	}
	if h.Family == unix.AF_INET6 {
		h.Metric = 1024 // IP6_RT_PRIO_USER, the kernel's own
	}
	return h
}

// concerns says whether a route is one of the address' table: by its source or its gateway, or because these are nobody's.
func (v sourcing) concerns(h rtnl.Held, src Source) bool {
	if src.Addr.Addr().Is4() != h.Dst.Addr().Is4() {
		return false
	}
	in := func(s Source) bool {
		return h.Src.IsValid() && s.Addr.Contains(h.Src) || h.Via.IsValid() && s.Addr.Contains(h.Via)
	}
	return in(src) || !slices.ContainsFunc(v.Sources, in)
}

// hints are the ways to the subnets, on the link, that main lacks. One of IPv6 may have no source (mend).
func (v sourcing) hints() (list []rtnl.Held) {
	for _, src := range v.Sources {
		h := v.own(src, main)
		there := func(o rtnl.Held) bool {
			own := o.Src == h.Src || o.Protocol == rtnl.Proto && !o.Src.IsValid()
			return o.Table == main && o.Link == h.Link && o.Dst == h.Dst && !o.Via.IsValid() && own
		}
		if v.Hints && !slices.ContainsFunc(v.routes, there) {
			list = append(list, h)
		}
	}
	return list
}
