package reach

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// kernel is what is read and changed, in the network namespace in which it was opened.
type kernel struct {
	*rtnl.Conn
	protocol uint8
	alone    int // a socket whose name nobody else has in this network namespace
}

func openKernel(c Config) (*kernel, error) {
	alone, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fault.New(fault.IO, "", "socket: %w", err)
	}
	if err := unix.Bind(alone, &unix.SockaddrUnix{Name: fmt.Sprintf("@trestle-node/routes/%d", c.Protocol)}); err != nil {
		unix.Close(alone)
		return nil, fault.New(fault.Taken, "give this network's routes a number of their own: routeProtocol", "routes: another agent has protocol %d: %w", c.Protocol, err)
	}
	conn, err := rtnl.Open()
	if err != nil {
		unix.Close(alone)
		return nil, fault.New(fault.IO, "", "%w", err)
	}
	return &kernel{conn, uint8(c.Protocol), alone}, nil
}

// Close lets another have the routes.
func (k *kernel) Close() {
	k.Conn.Close()
	unix.Close(k.alone)
}

// path is how the kernel gets to an address; the zero Path where there is no way.
func (k *kernel) path(to netip.Addr) Path {
	p, err := k.PathTo(to, 0)
	if err != nil {
		return Path{}
	}
	return Path{Link: p.Link, Near: !p.Via && !p.Local, Local: p.Local}
}

// read is what the kernel has of ours, and where others have routes, by their protocol.
func (k *kernel) read(tunnel int) (have Set, foreign map[netip.Prefix]int, err error) {
	have, foreign = newSet(), make(map[netip.Prefix]int)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		q := rtnl.Request(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Table: unix.RT_TABLE_MAIN}})
		q.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(unix.RT_TABLE_MAIN)))
		bodies, err := k.Read(q)
		if err != nil && !errors.Is(err, unix.ENOENT) { // no route was ever there
			return have, nil, fmt.Errorf("routes: %w", err)
		}
		for _, body := range bodies {
			switch e := eventOf(unix.RTM_NEWROUTE, body); {
			case e.table != unix.RT_TABLE_MAIN: // an old kernel tells of all
			case e.proto == k.protocol:
				have.Routes[e.route] = true
			default:
				foreign[e.route.Dst] = int(e.proto)
			}
		}
	}
	if tunnel == 0 {
		return have, foreign, nil
	}
	return have, foreign, errors.Join(k.readNeighbours(have, tunnel), k.readOwn(have, tunnel))
}

// usual6 is the metric of an IPv6 route for which none is asked (IP6_RT_PRIO_USER).
const usual6 = 1024

// readNeighbours reads the tunnel's neighbours and its ends: both are RTM_GETNEIGH, of other families.
func (k *kernel) readNeighbours(have Set, tunnel int) error {
	q := rtnl.Request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
	q.AddData(&netlink.Ndmsg{Family: unix.AF_BRIDGE, Index: uint32(tunnel)})
	ends, err := k.Read(q)
	if err != nil {
		return fmt.Errorf("tunnel's ends: %w", err)
	}
	q = rtnl.Request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
	q.AddData(&netlink.Ndmsg{})
	q.AddData(nl.NewRtAttr(ndaIfIndex, nl.Uint32Attr(uint32(tunnel))))
	hops, err := k.Read(q)
	if err != nil {
		return fmt.Errorf("neighbours: %w", err)
	}
	for _, body := range append(ends, hops...) {
		switch item, index := neighbourOf(body); {
		case index != tunnel:
		case item.End != End{}:
			have.Ends[item.End] = true
		case item.Hop.MAC != MAC{}:
			have.Hops[item.Hop] = true
		}
	}
	return nil
}

// ndaIfIndex is NDA_IFINDEX of include/uapi/linux/neighbour.h.
const ndaIfIndex = 8

// neighbour is either. Where it is none that stays it is a Hop without a MAC, or nothing.
type neighbour struct {
	Hop Hop
	End End
}

// neighbourOf reads a neighbour (struct ndmsg) in one pass: there may be twenty thousand.
func neighbourOf(body []byte) (n neighbour, index int) {
	if len(body) < unix.SizeofNdMsg {
		return n, 0
	}
	index = int(int32(binary.NativeEndian.Uint32(body[4:])))
	var addr netip.Addr
	var mac MAC
	odd, whole, stays := false, false, binary.NativeEndian.Uint16(body[8:])&netlink.NUD_PERMANENT != 0
	attributes(body[unix.SizeofNdMsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.NDA_DST:
			addr, _ = netip.AddrFromSlice(value)
		case unix.NDA_LLADDR:
			whole = copy(mac[:], value) == len(mac)
		case unix.NDA_PORT, unix.NDA_VNI, unix.NDA_IFINDEX: // the kernel tells none that is the tunnel's own
			odd = true
		}
	})
	switch stays = stays && whole; {
	case !addr.IsValid():
	case body[0] == unix.AF_BRIDGE && stays:
		n.End = End{mac, addr.Unmap(), odd}
	case body[0] == unix.AF_BRIDGE:
	case stays:
		n.Hop = Hop{addr.Unmap(), mac}
	default:
		n.Hop.Addr = addr.Unmap()
	}
	return n, index
}

// readOwn reads the addresses of the tunnel's end here, but those that the kernel gives.
func (k *kernel) readOwn(have Set, tunnel int) error {
	addrs, err := k.Addrs(tunnel)
	for _, a := range addrs {
		if !a.Addr().IsLinkLocalUnicast() {
			have.Own[a.Prefix] = true
		}
	}
	return err
}

// piece is how many changes are sent at once: the kernel's answers to them must have room in the socket.
const piece = 100

// changes are the requests that make the change.
func (k *kernel) changes(c Change, tunnel int) (all []request) {
	for _, r := range c.Unroute {
		all = append(all, request{"- " + r.String(), k.delRoute(r)})
	}
	for _, h := range c.Unhop {
		all = append(all, request{"- " + h.String(), rtnl.DelNeighbour(tunnel, h.Addr)})
	}
	for _, e := range c.Unend {
		all = append(all, request{"- " + e.String(), endRequest(unix.RTM_DELNEIGH, 0, tunnel, e)})
	}
	for _, p := range c.Disown {
		all = append(all, request{"- address " + p.String(), rtnl.DelAddr(tunnel, p)})
	}
	for _, p := range c.Own {
		all = append(all, request{"+ address " + p.String(), rtnl.NewAddr(tunnel, p, unix.IFA_F_NODAD, rtnl.Proto)})
	}
	for _, e := range c.End {
		all = append(all, request{"+ " + e.String(), endRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_EXCL, tunnel, e)})
	}
	for _, h := range c.Hop {
		all = append(all, request{"+ " + h.String(), rtnl.NewNeighbour(tunnel, h.Addr, net.HardwareAddr(h.MAC[:]))})
	}
	for _, r := range c.Route {
		all = append(all, request{"+ " + r.String(), k.newRoute(r, r.Link == tunnel)})
	}
	return all
}

// request is one change, with what it is in words.
type request struct {
	what string
	*nl.NetlinkRequest
}

// apply makes the change, in pieces. Of a piece in which one was refused each is sent again alone, so that the error has a name; that it was done before is none.
func (k *kernel) apply(c Change, tunnel int) error {
	var errs []error
	for some := range slices.Chunk(k.changes(c, tunnel), piece) {
		if k.send(some) != nil {
			errs = append(errs, k.sendEach(some)...)
		}
	}
	if n := len(errs); n > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", n-3))
	}
	return errors.Join(errs...)
}

// restore makes a change of which each part is new to the kernel; it ends with the first piece in which one was not, or was refused.
func (k *kernel) restore(c Change, tunnel int) error {
	for some := range slices.Chunk(k.changes(c, tunnel), piece) {
		if err := k.send(some); err != nil {
			return err
		}
	}
	return nil
}

func (k *kernel) send(some []request) error {
	bare := make([]*nl.NetlinkRequest, len(some))
	for i := range bare {
		bare[i] = some[i].NetlinkRequest
	}
	return k.Send(bare...)
}

func (k *kernel) sendEach(some []request) (errs []error) {
	for _, r := range some {
		err := k.Send(r.NetlinkRequest)
		done := errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EADDRNOTAVAIL)
		if err != nil && !done {
			errs = append(errs, fmt.Errorf("%s: %w", r.what, err))
		}
	}
	return errs
}

func (k *kernel) newRoute(r Route, far bool) *nl.NetlinkRequest {
	q := rtnl.Request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	msg := k.message(r)
	msg.Scope, msg.Type = unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST
	if far {
		msg.Flags = unix.RTNH_F_ONLINK // the address is of no subnet of the link
	}
	return fill(q, msg, r)
}

func (k *kernel) delRoute(r Route) *nl.NetlinkRequest {
	msg := k.message(r)
	msg.Scope = unix.RT_SCOPE_NOWHERE
	return fill(rtnl.Request(unix.RTM_DELROUTE, 0), msg, r)
}

func (k *kernel) message(r Route) *nl.RtMsg {
	family := uint8(unix.AF_INET6)
	if r.Dst.Addr().Is4() {
		family = unix.AF_INET
	}
	return &nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Dst_len: uint8(r.Dst.Bits()), Tos: r.TOS, Table: unix.RT_TABLE_MAIN, Protocol: k.protocol}}
}

func fill(q *nl.NetlinkRequest, msg *nl.RtMsg, r Route) *nl.NetlinkRequest {
	q.AddData(msg)
	q.AddData(nl.NewRtAttr(unix.RTA_DST, r.Dst.Addr().AsSlice()))
	if r.Via.IsValid() {
		q.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.Via.AsSlice()))
	}
	if r.Link != 0 {
		q.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(r.Link))))
	}
	if r.Metric != 0 {
		q.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(r.Metric)))
	}
	return q
}

func endRequest(kind, flags, tunnel int, e End) *nl.NetlinkRequest {
	q := rtnl.Request(kind, flags)
	q.AddData(&netlink.Ndmsg{Family: unix.AF_BRIDGE, Index: uint32(tunnel), State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF})
	q.AddData(nl.NewRtAttr(unix.NDA_LLADDR, e.MAC[:]))
	if !e.Odd { // which goes with all that the address has
		q.AddData(nl.NewRtAttr(unix.NDA_DST, e.Host.AsSlice()))
	}
	return q
}
