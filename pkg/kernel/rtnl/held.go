package rtnl

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Held is a route by one link as the kernel holds it, to be put elsewhere with all that it has. One of IPv6 with several next hops is one for each of them; one of
// IPv4 cannot be taken apart, and has no link where they are by several.
type Held struct {
	Family, Kind, Protocol, Scope, Tos uint8
	Link                               int
	Table, Metric                      uint32
	Dst                                netip.Prefix
	Via, Src                           netip.Addr // the zero Addr: none
	*kept                                         // nil: nothing
}

// Kept is what else a route of another had, where it is not nil.
type Kept interface {
	flag() uint32
	lead(q *nl.NetlinkRequest, link int) bool
}

// Kept is what else it has. (As an interface: what carries nothing along has no code for it.)
func (h Held) Kept() Kept { return h.kept }

// kept is what else a route has, which is carried along.
type kept struct {
	flags uint32
	rest  []byte // attributes
	hops  []byte // the next hops of one with several, or with a weight (struct rtnexthop, rtnetlink(7)): all are by its link
}

// Direct says whether what it leads to is on the link.
func (h Held) Direct() bool { return !h.Via.IsValid() && !h.several() }

func (k *kept) several() bool { return k != nil && len(k.hops) > 0 }

func (k *kept) flag() uint32 {
	if k == nil {
		return 0
	}
	return k.flags
}

// Metrics are what the route says of the size of packets, in bytes; 0: nothing.
func (k *kept) Metrics() (mtu, advMSS int) {
	if k == nil {
		return 0, 0
	}
	metrics := attribute(k.rest, unix.RTA_METRICS)
	return int(whole(metrics, unix.RTAX_MTU)), int(whole(metrics, unix.RTAX_ADVMSS))
}

// lead writes what is carried along. It says whether that is where the route leads, too.
func (k *kept) lead(q *nl.NetlinkRequest, link int) bool {
	if k == nil {
		return false
	}
	q.AddRawData(k.rest)
	hops := slices.Clone(k.hops)
	for rest := hops; len(rest) > 0; rest = rest[hopSize(rest):] {
		binary.NativeEndian.PutUint32(rest[4:], uint32(link))
	}
	if len(hops) > 0 {
		q.AddData(nl.NewRtAttr(unix.RTA_MULTIPATH, hops))
	}
	return len(hops) > 0
}

// leads writes where a route without more leads.
func leads(q *nl.NetlinkRequest, link int, via netip.Addr) {
	if via.IsValid() {
		q.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, via.AsSlice()))
	}
	number(q, unix.RTA_OIF, uint32(link))
}

// hopSize is how many bytes the first of the next hops has, with what fills it up; 0 where it is none.
func hopSize(hops []byte) int {
	if len(hops) < unix.SizeofRtNexthop {
		return 0
	}
	size := int(binary.NativeEndian.Uint16(hops))
	if size < unix.SizeofRtNexthop || size > len(hops) {
		return 0
	}
	return min((size+3)&^3, len(hops))
}

// Routes reads the routes of both families in all tables.
func (c *Conn) Routes() (list []Held, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		q := Request(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
		bodies, err := c.Read(q)
		if err != nil {
			return nil, err
		}
		for _, body := range bodies {
			if len(body) >= unix.SizeofRtMsg {
				list = append(list, held(body)...)
			}
		}
	}
	return list, nil
}

func held(body []byte) []Held {
	m, attrs := nl.DeserializeRtMsg(body), body[unix.SizeofRtMsg:]
	h := Held{Family: m.Family, Kind: m.Type, Protocol: m.Protocol, Scope: m.Scope, Tos: m.Tos, kept: &kept{flags: m.Flags & unix.RTNH_F_ONLINK}}
	h.Table, h.Metric, h.Link = uint32(m.Table), whole(attrs, unix.RTA_PRIORITY), int(whole(attrs, unix.RTA_OIF))
	if table := whole(attrs, unix.RTA_TABLE); table != 0 {
		h.Table = table
	}
	h.Dst = netip.PrefixFrom(map[uint8]netip.Addr{unix.AF_INET: netip.IPv4Unspecified(), unix.AF_INET6: netip.IPv6Unspecified()}[h.Family], 0)
	if dst, ok := netip.AddrFromSlice(attribute(attrs, unix.RTA_DST)); ok {
		h.Dst = netip.PrefixFrom(dst, int(m.Dst_len))
	}
	h.Src, _ = netip.AddrFromSlice(attribute(attrs, unix.RTA_PREFSRC))
	h.Via, _ = netip.AddrFromSlice(attribute(attrs, unix.RTA_GATEWAY))
	for _, kind := range []uint16{unix.RTA_METRICS, unix.RTA_FLOW, unix.RTA_PREF, unix.RTA_VIA, unix.RTA_ENCAP_TYPE, unix.RTA_ENCAP} {
		if value := attribute(attrs, kind); value != nil {
			h.rest = append(h.rest, nl.NewRtAttr(int(kind), value).Serialize()...)
		}
	}
	if hops := attribute(attrs, unix.RTA_MULTIPATH); hops != nil {
		return h.apart(hops)
	}
	return []Held{h}
}

// apart is a route for each of the next hops; in IPv4 it is one for all.
func (h Held) apart(hops []byte) (list []Held) {
	for {
		size := hopSize(hops)
		if size == 0 {
			break
		}
		hop := slices.Clone(hops[:size])
		hop[2] &= unix.RTNH_F_ONLINK // the others are the kernel's: dead, its link down
		one := h
		one.Link, one.kept = int(binary.NativeEndian.Uint32(hop[4:])), &kept{flags: uint32(hop[2]), rest: h.rest}
		one.Via, _ = netip.AddrFromSlice(attribute(hop[unix.SizeofRtNexthop:], unix.RTA_GATEWAY))
		if weight := hop[3]; weight != 0 || h.Family == unix.AF_INET {
			one.hops = hop
		}
		list = append(list, one)
		hops = hops[size:]
	}
	if h.Family == unix.AF_INET6 || len(list) == 0 {
		return list
	}
	all := h
	all.kept = &kept{rest: h.rest}
	for _, one := range list {
		if all.Link, all.hops = one.Link, append(all.hops, one.hops...); one.Link != list[0].Link {
			return []Held{h}
		}
	}
	return []Held{all}
}

// nobody is a next hop that no link has.
func nobody() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: 't', 'r', 'e', 's', 't', 'l', 'e', 1})
}

// Weighed are the routes with the weights of those by the link that are about to join others in a table. The kernel tells the weights of IPv6 routes with several next hops
// alone: so for as long as it is asked each has a second one, and so has what somebody left who was killed over that.
func (c *Conn) Weighed(routes []Held, link int, table uint32) ([]Held, error) {
	joins := func(h Held) bool {
		for _, o := range routes {
			if o.Table == table && o.Link != link && o.Via.IsValid() && o.Dst == h.Dst && o.Metric == h.Metric {
				return true
			}
		}
		return false
	}
	var give, take []*nl.NetlinkRequest
	for _, h := range routes {
		if h.Family == unix.AF_INET6 && h.Link == link && h.Table != table && h.Via.IsValid() && !h.several() && joins(h) {
			h.Via = nobody()
			give, take = append(give, h.Add()), append(take, h.Del())
		}
	}
	if len(give) == 0 {
		return routes, nil
	}
	_ = c.Send(give...) // without it the weight is 1
	all, err := c.Routes()
	if failed := c.Send(take...); err == nil && !errors.Is(failed, unix.ESRCH) {
		err = failed
	}
	routes = nil
	for _, h := range all {
		if h.Via != nobody() {
			routes = append(routes, h)
		}
	}
	return routes, err
}

func whole(attrs []byte, kind uint16) uint32 {
	if value := attribute(attrs, kind); len(value) == 4 {
		return binary.NativeEndian.Uint32(value)
	}
	return 0
}

// Add returns the request that adds the route after others to its destination.
func (h Held) Add() *nl.NetlinkRequest {
	return h.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
}

// Del returns the request that removes the route.
func (h Held) Del() *nl.NetlinkRequest {
	if h.Via.IsValid() && h.several() {
		h.kept = &kept{flags: h.flags, rest: h.rest}
	}
	return h.request(unix.RTM_DELROUTE, 0)
}

func (h Held) request(kind, flags int) *nl.NetlinkRequest {
	q := Request(kind, flags)
	q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: h.Family, Dst_len: uint8(h.Dst.Bits()), Tos: h.Tos, Type: h.Kind, Protocol: h.Protocol, Scope: h.Scope, Flags: h.flag()}})
	q.AddData(nl.NewRtAttr(unix.RTA_DST, h.Dst.Addr().AsSlice()))
	if h.Src.IsValid() {
		q.AddData(nl.NewRtAttr(unix.RTA_PREFSRC, h.Src.AsSlice()))
	}
	number(q, unix.RTA_PRIORITY, h.Metric)
	number(q, unix.RTA_TABLE, h.Table)
	if !h.lead(q, h.Link) {
		leads(q, h.Link, h.Via)
	}
	return q
}

// Leads says whether two routes are the same way to the same place, whoever made them and in whichever table.
func (h Held) Leads(o Held) bool {
	return h.Dst == o.Dst && h.Via == o.Via && h.Direct() == o.Direct() && h.Link == o.Link && h.Metric == o.Metric && h.Tos == o.Tos
}
