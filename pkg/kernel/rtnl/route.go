package rtnl

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is one route out by a link.
type Route struct {
	Link     int // index
	Dst      netip.Prefix
	Via      netip.Addr // the zero Addr: directly on the link
	Src      netip.Addr // preferred source; the zero Addr: the kernel's choice
	Priority uint32     // metric; 0: the kernel's
	Table    uint32     // 0: main
	Scope    int        // RT_SCOPE_*
	MTU      int        // bytes; 0: none
	AdvMSS   int        // bytes; 0: none
	Local    bool       // to the namespace itself (RTN_LOCAL)
	Kept     Kept       // of one that was another's; nil: nothing
}

// NewRoute returns the request that adds a route beside others to its destination.
func NewRoute(r Route) *nl.NetlinkRequest {
	return r.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, nl.NewRtMsg())
}

// AppendRoute returns the request that adds a route after others to its destination (NLM_F_APPEND, rtnetlink(7)).
func AppendRoute(r Route) *nl.NetlinkRequest {
	return r.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, nl.NewRtMsg())
}

// DelRoute returns the request that removes a route.
func DelRoute(r Route) *nl.NetlinkRequest {
	return r.request(unix.RTM_DELROUTE, 0, nl.NewRtDelMsg())
}

func (r Route) request(kind, flags int, msg *nl.RtMsg) *nl.NetlinkRequest {
	q := Request(kind, flags)
	msg.Family, msg.Dst_len = uint8(family(r.Dst.Addr())), uint8(r.Dst.Bits())
	msg.Scope, msg.Protocol = uint8(r.Scope), unix.RTPROT_BOOT
	if r.Local {
		msg.Type = unix.RTN_LOCAL
	}
	if r.Table != 0 {
		msg.Table = unix.RT_TABLE_UNSPEC
	}
	q.AddData(msg)
	q.AddData(nl.NewRtAttr(unix.RTA_DST, r.Dst.Addr().AsSlice()))
	if r.Src.IsValid() {
		q.AddData(nl.NewRtAttr(unix.RTA_PREFSRC, r.Src.AsSlice()))
	}
	number(q, unix.RTA_PRIORITY, r.Priority)
	number(q, unix.RTA_TABLE, r.Table)
	if r.MTU != 0 || r.AdvMSS != 0 {
		metrics := nl.NewRtAttr(unix.RTA_METRICS, nil)
		for _, m := range [...]struct{ kind, value int }{{unix.RTAX_MTU, r.MTU}, {unix.RTAX_ADVMSS, r.AdvMSS}} {
			if m.value != 0 {
				metrics.AddRtAttr(m.kind, nl.Uint32Attr(uint32(m.value)))
			}
		}
		q.AddData(metrics)
	}
	if r.Kept != nil {
		msg.Flags = r.Kept.flag()
	}
	if r.Kept == nil || !r.Kept.lead(q, r.Link) {
		leads(q, r.Link, r.Via)
	}
	return q
}

func number(q *nl.NetlinkRequest, kind int, value uint32) {
	if value != 0 {
		q.AddData(nl.NewRtAttr(kind, nl.Uint32Attr(value)))
	}
}

// Path is how the namespace gets to an address.
type Path struct {
	Link  int  // index
	Via   bool // by a router
	Local bool // the address is the namespace's own
}

// PathTo asks for the path to an address or, where from is not 0, that of a packet to it which came in by the link with that index. The error is
// ENETUNREACH, or another of the kernel's, where there is none.
func (c *Conn) PathTo(to netip.Addr, from int) (Path, error) {
	q := Request(unix.RTM_GETROUTE, 0)
	q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family(to)), Dst_len: uint8(to.BitLen())}})
	q.AddData(nl.NewRtAttr(unix.RTA_DST, to.AsSlice()))
	number(q, unix.RTA_IIF, uint32(from))
	bodies, err := c.Read(q)
	if err != nil {
		return Path{}, err
	}
	for _, body := range bodies {
		attrs := body[unix.SizeofRtMsg:]
		if out := attribute(attrs, unix.RTA_OIF); len(out) == 4 {
			p := Path{Link: int(binary.NativeEndian.Uint32(out)), Local: nl.DeserializeRtMsg(body).Type == unix.RTN_LOCAL}
			p.Via = attribute(attrs, unix.RTA_GATEWAY) != nil || attribute(attrs, unix.RTA_VIA) != nil
			return p, nil
		}
	}
	return Path{}, unix.ENETUNREACH
}

// DelNeighbour returns the request that forgets what the namespace knows of a neighbour's address.
func DelNeighbour(index int, addr netip.Addr) *nl.NetlinkRequest {
	q := Request(unix.RTM_DELNEIGH, 0)
	q.AddData(&netlink.Ndmsg{Family: uint8(family(addr)), Index: uint32(index)})
	q.AddData(nl.NewRtAttr(unix.NDA_DST, addr.AsSlice()))
	return q
}

// NewNeighbour returns the request by which a neighbour's Ethernet address is known for good, and not asked for.
func NewNeighbour(index int, addr netip.Addr, mac net.HardwareAddr) *nl.NetlinkRequest {
	q := Request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	q.AddData(&netlink.Ndmsg{Family: uint8(family(addr)), Index: uint32(index), State: netlink.NUD_PERMANENT})
	q.AddData(nl.NewRtAttr(unix.NDA_DST, addr.AsSlice()))
	q.AddData(nl.NewRtAttr(unix.NDA_LLADDR, mac))
	return q
}

// NewProxy returns the request to answer on the link for an IPv6 address that it does not have.
func NewProxy(index int, addr netip.Addr) *nl.NetlinkRequest {
	q := Request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE)
	q.AddData(&netlink.Ndmsg{Family: uint8(family(addr)), Index: uint32(index), Flags: netlink.NTF_PROXY})
	q.AddData(nl.NewRtAttr(unix.NDA_DST, addr.AsSlice()))
	return q
}
