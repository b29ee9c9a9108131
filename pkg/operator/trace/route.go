package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// route is the kernel's answer to where a packet goes.
type route struct {
	kind    uint8 // RTN_*
	out     *link
	gateway netip.Addr // invalid: the destination is a neighbour
	source  netip.Addr // that the kernel would choose
	table   uint32
}

// next is whom the packet is handed to.
func (r *route) next(destination netip.Addr) netip.Addr {
	if r.gateway.IsValid() {
		return r.gateway
	}
	return destination
}

func (r *route) String() string {
	var b strings.Builder
	switch r.kind {
	case unix.RTN_LOCAL:
		b.WriteString("local")
	case unix.RTN_UNICAST:
		if r.gateway.IsValid() {
			b.WriteString("via " + r.gateway.String() + " ")
		}
		fmt.Fprintf(&b, "dev %s", r.out.Name)
	default:
		fmt.Fprintf(&b, "of type %d", r.kind)
	}
	if r.source.IsValid() {
		b.WriteString(" src " + r.source.String())
	}
	if r.table != 0 && r.table != unix.RT_TABLE_MAIN && r.table != unix.RT_TABLE_LOCAL {
		fmt.Fprintf(&b, " table %d", r.table)
	}
	return b.String()
}

// Attributes of a route request, include/uapi/linux/rtnetlink.h.
const (
	rtaIPProto = 27
	rtaSport   = 28
	rtaDport   = 29
)

// route asks the kernel for the route of the packet. in is the link that it came in by, nil for one that is sent here; the kernel then
// checks what it checks of such packets, too: whether it forwards, and whether the source may come in there (rp_filter). out binds the answer
// to a link, if not nil.
func (p *Place) route(packet *ruleset.Packet, in, out *link) (*route, error) {
	family, bits := uint8(unix.AF_INET), uint8(32)
	if packet.Destination.Is6() {
		family, bits = unix.AF_INET6, 128
	}
	request := rtnl.Request(unix.RTM_GETROUTE, 0)
	header := nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Dst_len: bits}}
	if family == unix.AF_INET { // for IPv6 the kernel tells the table unasked, and takes no flag
		header.Flags = unix.RTM_F_LOOKUP_TABLE
	}
	request.AddData(&header)
	request.AddData(nl.NewRtAttr(unix.RTA_DST, packet.Destination.AsSlice()))
	if packet.Source.IsValid() {
		header.Src_len = bits
		request.AddData(nl.NewRtAttr(unix.RTA_SRC, packet.Source.AsSlice()))
	}
	if packet.Mark != 0 {
		request.AddData(nl.NewRtAttr(unix.RTA_MARK, nl.Uint32Attr(packet.Mark)))
	}
	if in != nil {
		request.AddData(nl.NewRtAttr(unix.RTA_IIF, nl.Uint32Attr(uint32(in.Index))))
	}
	if out != nil {
		request.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(out.Index))))
	}
	addPorts(request, packet)
	bodies, err := p.conn.Read(request)
	if err != nil || len(bodies) == 0 {
		return nil, errors.Join(err)
	}
	return p.parseRoute(bodies[0])
}

// addPorts lets routing rules that ask for ports decide. The kernel takes protocols with ports alone.
func addPorts(request *nl.NetlinkRequest, packet *ruleset.Packet) {
	if packet.Protocol != unix.IPPROTO_TCP && packet.Protocol != unix.IPPROTO_UDP {
		return
	}
	request.AddData(nl.NewRtAttr(rtaIPProto, []byte{packet.Protocol}))
	for kind, port := range map[int]uint16{rtaSport: packet.SourcePort, rtaDport: packet.DestinationPort} {
		if port != 0 {
			request.AddData(nl.NewRtAttr(kind, binary.BigEndian.AppendUint16(nil, port)))
		}
	}
}

func (p *Place) parseRoute(body []byte) (*route, error) {
	header := nl.DeserializeRtMsg(body)
	attrs, err := nl.ParseRouteAttr(body[header.Len():])
	if err != nil {
		return nil, err
	}
	r := &route{kind: header.Type, table: uint32(header.Table)}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_OIF:
			r.out = p.links[int(nl.NativeEndian().Uint32(a.Value))]
		case unix.RTA_GATEWAY:
			r.gateway, _ = netip.AddrFromSlice(a.Value)
		case unix.RTA_VIA: // family, then an address, maybe of the other family
			r.gateway, _ = netip.AddrFromSlice(a.Value[2:])
		case unix.RTA_PREFSRC:
			r.source, _ = netip.AddrFromSlice(a.Value)
		case unix.RTA_TABLE:
			r.table = nl.NativeEndian().Uint32(a.Value)
		}
	}
	switch r.kind {
	case unix.RTN_UNICAST, unix.RTN_LOCAL, unix.RTN_BROADCAST, unix.RTN_MULTICAST, unix.RTN_ANYCAST:
		if r.out == nil {
			return nil, fmt.Errorf("the route's link appeared meanwhile")
		}
	case unix.RTN_UNREACHABLE, unix.RTN_BLACKHOLE, unix.RTN_PROHIBIT:
		return r, unix.EHOSTUNREACH
	}
	return r, nil
}

// local says whether the address is one of the place's own, as the kernel answers ARP for it.
func (p *Place) local(a netip.Addr, by *link) bool {
	if a.Is6() { // neighbour discovery answers for addresses of the link
		l := p.holder(a)
		return l != nil && (by == nil || l == by)
	}
	r, err := p.route(&ruleset.Packet{Destination: a}, nil, nil)
	return err == nil && r.kind == unix.RTN_LOCAL
}

// eye answers what rules ask about the rest of the kernel, at one step of a packet.
type eye struct {
	*Place
	route *route // by which it leaves, if it does
}

func (e eye) AddrType(a netip.Addr, name string) (uint8, bool) {
	var out *link
	if name != "" {
		if out = e.link(name); out == nil {
			return 0, false
		}
	}
	switch {
	case a.IsMulticast():
		return unix.RTN_MULTICAST, true
	case a.Is4() && a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return unix.RTN_BROADCAST, true
	}
	if out != nil { // of that link's addresses alone
		if l := e.holder(a); l != nil && l != out {
			return unix.RTN_UNICAST, true
		}
	}
	r, err := e.Place.route(&ruleset.Packet{Destination: a}, nil, nil)
	switch {
	case err == nil:
		return r.kind, true
	case r != nil:
		return r.kind, true
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return unix.RTN_UNREACHABLE, true
	}
	return 0, false
}

func (e eye) Out(a netip.Addr, mark uint32) (int, bool) {
	r, err := e.Place.route(&ruleset.Packet{Destination: a, Mark: mark}, nil, nil)
	if err != nil {
		return 0, true
	}
	return r.out.Index, true
}

// Masquerade takes, as the kernel does, the first address of the link in the next hop's subnet, and else its first. For IPv6 it asks which
// the kernel would choose to send from.
func (e eye) Masquerade(packet ruleset.Packet) (netip.Addr, bool) {
	out := e.links[packet.Out.Index]
	if out == nil {
		return netip.Addr{}, false
	}
	if packet.Destination.Is6() {
		r, err := e.Place.route(&ruleset.Packet{Destination: packet.Destination}, nil, out)
		return sourceOf(r), err == nil && r.source.IsValid()
	}
	next := packet.Destination
	if e.route != nil {
		next = e.route.next(packet.Destination)
	}
	var first netip.Addr
	for _, a := range out.addrs {
		if !a.Addr().Is4() || a.Flags&unix.IFA_F_SECONDARY != 0 {
			continue
		}
		if a.Contains(next) {
			return a.Addr(), true
		}
		if !first.IsValid() {
			first = a.Addr()
		}
	}
	return first, first.IsValid()
}

func sourceOf(r *route) netip.Addr {
	if r == nil {
		return netip.Addr{}
	}
	return r.source
}
