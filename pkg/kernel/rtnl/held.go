package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Held is a route by one link as the kernel holds it, to be put elsewhere with all that it has. One with several next hops is one for each of them; in
// IPv4, where such a route cannot be taken apart, it has no link.
type Held struct {
	Family, Kind, Protocol, Scope, Tos uint8
	Link                               int
	Table, Metric                      uint32
	Dst                                netip.Prefix
	Via, Src                           netip.Addr // the zero Addr: none

	flags uint32
	rest  []byte // attributes that are carried along
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
	h := Held{Family: m.Family, Kind: m.Type, Protocol: m.Protocol, Scope: m.Scope, Tos: m.Tos, flags: m.Flags & unix.RTNH_F_ONLINK}
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
	if hops := attribute(attrs, unix.RTA_MULTIPATH); hops != nil && h.Family == unix.AF_INET6 {
		return h.apart(hops)
	}
	return []Held{h}
}

// apart is a route for each of the next hops (struct rtnexthop, rtnetlink(7)).
func (h Held) apart(hops []byte) (list []Held) {
	for len(hops) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(hops))
		if size < unix.SizeofRtNexthop || size > len(hops) {
			break
		}
		one := h
		one.Link = int(binary.NativeEndian.Uint32(hops[4:]))
		one.Via, _ = netip.AddrFromSlice(attribute(hops[unix.SizeofRtNexthop:size], unix.RTA_GATEWAY))
		one.flags = uint32(hops[2]) & unix.RTNH_F_ONLINK
		list = append(list, one)
		hops = hops[min((size+3)&^3, len(hops)):]
	}
	return list
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
func (h Held) Del() *nl.NetlinkRequest { return h.request(unix.RTM_DELROUTE, 0) }

func (h Held) request(kind, flags int) *nl.NetlinkRequest {
	q := Request(kind, flags)
	q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: h.Family, Dst_len: uint8(h.Dst.Bits()), Tos: h.Tos, Type: h.Kind, Protocol: h.Protocol, Scope: h.Scope, Flags: h.flags}})
	q.AddData(nl.NewRtAttr(unix.RTA_DST, h.Dst.Addr().AsSlice()))
	for kind, addr := range map[int]netip.Addr{unix.RTA_GATEWAY: h.Via, unix.RTA_PREFSRC: h.Src} {
		if addr.IsValid() {
			q.AddData(nl.NewRtAttr(kind, addr.AsSlice()))
		}
	}
	for kind, value := range map[int]uint32{unix.RTA_OIF: uint32(h.Link), unix.RTA_PRIORITY: h.Metric, unix.RTA_TABLE: h.Table} {
		number(q, kind, value)
	}
	if len(h.rest) > 0 {
		q.AddRawData(h.rest)
	}
	return q
}

// Leads says whether two routes are the same way to the same place, whoever made them and in whichever table.
func (h Held) Leads(o Held) bool {
	return h.Dst == o.Dst && h.Via == o.Via && h.Link == o.Link && h.Metric == o.Metric && h.Tos == o.Tos
}
