package reach

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// event is what the kernel says has happened; lost: it says that it has said more than was heard.
type event struct {
	kind  uint16 // RTM_*
	lost  bool
	link  int    // index, of a link, an address or a neighbour
	name  string // of a link
	table uint32 // of a route
	proto uint8
	route Route
	near  neighbour
	addr  netip.Prefix // of a link
}

// events are the kernel's.
type events struct{ file *os.File }

// groups are what is listened to: links, and routes and neighbours of both families; an address that comes or goes shows in a route.
var groups = []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR}

// ear is how much may wait to be heard, in bytes: some thousands of events.
const ear = 4 << 20

func listen() (*events, error) {
	fail := func(err error) error { return fault.New(fault.IO, "", "rtnetlink events: %w", err) }
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fail(err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ear) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, ear)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fail(err)
	}
	for _, group := range groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
			unix.Close(fd)
			return nil, fail(err)
		}
	}
	return &events{os.NewFile(uintptr(fd), "rtnetlink events")}, nil
}

// Close ends each.
func (e *events) Close() { e.file.Close() }

// each calls hear with every event until the socket is closed. Once the kernel has dropped one it drops all, without another word, until what waits is heard:
// so the loss is told then, and who looks at everything after that has missed nothing.
func (e *events) each(hear func(event)) {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, 64<<10)
	for dropped := false; ; {
		var n int
		var received error
		err := raw.Read(func(fd uintptr) bool {
			n, _, received = unix.Recvfrom(int(fd), buffer, 0)
			return dropped || !errors.Is(received, unix.EAGAIN)
		})
		switch {
		case err != nil:
			return
		case errors.Is(received, unix.ENOBUFS):
			dropped = true
		case errors.Is(received, unix.EAGAIN):
			dropped = false
			hear(event{lost: true})
		case received == nil:
			take(buffer[:n], hear)
		}
	}
}

// take takes a datagram apart (struct nlmsghdr).
func take(datagram []byte, hear func(event)) {
	for len(datagram) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(datagram))
		if length < unix.SizeofNlMsghdr || length > len(datagram) {
			return
		}
		hear(eventOf(binary.NativeEndian.Uint16(datagram[4:]), datagram[unix.SizeofNlMsghdr:length]))
		datagram = datagram[min((length+3)&^3, len(datagram)):]
	}
}

func eventOf(kind uint16, body []byte) event {
	e := event{kind: kind}
	switch {
	case (kind == unix.RTM_NEWROUTE || kind == unix.RTM_DELROUTE) && len(body) >= unix.SizeofRtMsg:
		e.ofRoute(body)
	case (kind == unix.RTM_NEWNEIGH || kind == unix.RTM_DELNEIGH) && len(body) >= unix.SizeofNdMsg:
		e.near, e.link = neighbourOf(body)
	case (kind == unix.RTM_NEWLINK || kind == unix.RTM_DELLINK) && len(body) >= unix.SizeofIfInfomsg:
		e.link = int(nl.DeserializeIfInfomsg(body).Index)
		attributes(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
			if kind == unix.IFLA_IFNAME {
				e.name = nl.BytesToString(value)
			}
		})
	case (kind == unix.RTM_NEWADDR || kind == unix.RTM_DELADDR) && len(body) >= unix.SizeofIfAddrmsg:
		e.ofAddr(body)
	}
	return e
}

// ofRoute reads a route in one pass: there may be ten thousand. What ours never say (an MTU of its own, a source, an end in a minute) makes it another route.
func (e *event) ofRoute(body []byte) {
	m := nl.DeserializeRtMsg(body)
	dst := netip.IPv6Unspecified()
	if m.Family == unix.AF_INET {
		dst = netip.IPv4Unspecified()
	}
	e.proto, e.table, e.route.TOS = m.Protocol, uint32(m.Table), m.Tos
	attributes(body[unix.SizeofRtMsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.RTA_DST:
			dst, _ = netip.AddrFromSlice(value)
		case unix.RTA_GATEWAY:
			e.route.Via, _ = netip.AddrFromSlice(value)
		case unix.RTA_OIF:
			e.route.Link = int(number(value))
		case unix.RTA_PRIORITY:
			e.route.Metric = number(value)
		case unix.RTA_TABLE:
			e.table = number(value)
		case unix.RTA_CACHEINFO: // struct rta_cacheinfo: rta_expires is the third
			e.route.Odd = e.route.Odd || len(value) >= 12 && number(value[8:12]) != 0
		case unix.RTA_PREF:
			e.route.Odd = e.route.Odd || len(value) > 0 && value[0] != 0
		default:
			e.route.Odd = true
		}
	})
	if m.Family == unix.AF_INET6 && e.route.Metric == usual6 {
		e.route.Metric = 0
	}
	e.route.Dst = netip.PrefixFrom(dst, int(m.Dst_len))
}

// ofAddr reads an address of a link. One of IPv4 has IFA_LOCAL, which is the link's, where IFA_ADDRESS may be the other end's.
func (e *event) ofAddr(body []byte) {
	m := nl.DeserializeIfAddrmsg(body)
	e.link = int(m.Index)
	attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
		if kind == unix.IFA_LOCAL || kind == unix.IFA_ADDRESS && !e.addr.IsValid() {
			addr, _ := netip.AddrFromSlice(value)
			e.addr = netip.PrefixFrom(addr, int(m.Prefixlen))
		}
	})
}

func number(v []byte) uint32 {
	if len(v) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

// attributes are called one after the other (struct rtattr, rtnetlink(7)).
func attributes(attrs []byte, each func(kind uint16, value []byte)) {
	for len(attrs) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(attrs))
		if length < unix.SizeofRtAttr || length > len(attrs) {
			return
		}
		each(binary.NativeEndian.Uint16(attrs[2:]), attrs[unix.SizeofRtAttr:length])
		attrs = attrs[min((length+3)&^3, len(attrs)):]
	}
}
