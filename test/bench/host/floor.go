package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// Floor is the driver that makes and removes what our ADD makes in the kernel, and no more, from one process that is running, with its
// sockets open: no configuration is read, nothing is looked at or locked, no file is written. What it makes of a pod it learns beforehand
// (verb LEARN, with the conflist) from a real ADD. It has no CHECK.
const Floor = "floor"

// floor is one pod as the kernel sees it, and the sockets to make it.
type floor struct {
	pair      rtnl.Veth
	addresses []*net.IPNet
	gateways  []netip.Addr // of each address
	routes    []netlink.Route
	elements  []elements

	namespace       *os.File // the container's
	host, container *rtnl.Conn
	inside          *netlink.Handle // routes
	filter          *nftables.Conn
}

// elements are those of one set of the packet filter.
type elements struct {
	set  *nftables.Set
	list []nftables.SetElement
}

func (s *Server) onFloor(ctx context.Context, verb string, pod int) error {
	s.mu.Lock()
	f := s.floors[pod]
	s.mu.Unlock()
	if f == nil {
		return fmt.Errorf("pod %d: the floor has not learned it", pod)
	}
	began := time.Now()
	err := f.do(verb)
	if watch, ok := ctx.Value(watchKey{}).(*stopwatch); ok {
		watch.total += time.Since(began)
	}
	return err
}

func (f *floor) do(verb string) error {
	switch verb {
	case "ADD":
		return f.add()
	case "DEL":
		return f.del()
	}
	return fmt.Errorf("floor: verb %q: unknown", verb)
}

// add goes in the order that waits for nothing: the host end comes up last, as in docs/mechanisms.md.
func (f *floor) add() error {
	if err := f.host.Send(rtnl.NewVeth(f.pair)); err != nil {
		return fmt.Errorf("floor: veth: %w", err)
	}
	if err := f.commit(0); err != nil {
		return fmt.Errorf("floor: elements: %w", err)
	}
	link, err := f.inside.LinkByName(f.pair.Peer)
	if err != nil {
		return fmt.Errorf("floor: %s: %w", f.pair.Peer, err)
	}
	index := link.Attrs().Index
	var requests []*nl.NetlinkRequest
	for _, a := range f.addresses {
		requests = append(requests, rtnl.NewAddr(index, prefix(a), unix.IFA_F_NODAD, 0))
	}
	err = f.container.Send(append(requests, rtnl.SetUp(f.pair.Peer))...)
	err = errors.Join(err, f.host.Send(rtnl.SetUp(f.pair.Name)), f.lead())
	for _, r := range f.routes {
		r.LinkIndex = index
		err = errors.Join(err, f.inside.RouteAdd(&r))
	}
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	return nil
}

// lead gives the host's end of a pair that is no port of a bridge the gateways' addresses, and leads to the container by it.
func (f *floor) lead() error {
	if f.pair.Master != 0 {
		return nil
	}
	link, err := netlink.LinkByName(f.pair.Name)
	if err != nil {
		return err
	}
	index := link.Attrs().Index
	for i, a := range f.addresses {
		own, gateway := prefix(a).Addr(), f.gateways[i]
		to := &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(own.BitLen(), own.BitLen())}
		err = errors.Join(err, f.host.Send(rtnl.NewAddr(index, netip.PrefixFrom(gateway, gateway.BitLen()), unix.IFA_F_NODAD, 0)),
			netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: to, Scope: netlink.SCOPE_LINK}))
	}
	return err
}

// del lets the elements expire, which costs nothing where to delete them would wait for the kernel, and removes the pair.
func (f *floor) del() error {
	if err := f.commit(time.Millisecond); err != nil {
		return fmt.Errorf("floor: elements: %w", err)
	}
	r := rtnl.Request(unix.RTM_DELLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(f.pair.Name)))
	if err := f.host.Send(r); err != nil {
		return fmt.Errorf("floor: remove %s: %w", f.pair.Name, err)
	}
	return nil
}

// commit makes all elements in one transaction, with a timeout where it is not 0.
func (f *floor) commit(timeout time.Duration) error {
	for _, e := range f.elements {
		list := make([]nftables.SetElement, len(e.list))
		for i, element := range e.list {
			list[i] = element
			list[i].Timeout = timeout
		}
		if err := f.filter.SetAddElements(e.set, list); err != nil {
			return err
		}
	}
	return f.filter.Flush()
}
