package step

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// luggage is what an interface loses when it joins a VRF or leaves it, because the kernel closes and opens it for that: every route, and of the IPv6 addresses
// those that it does not keep. The kernel makes again what follows from addresses and advertisements, in the table where it belongs then.
type luggage struct {
	addrs []rtnl.Given
	moved []rtnl.Held // of the table that is left
	stays []rtnl.Held // of other tables
}

// carries is what the interface has to be put back, in an order in which it can be, where it leaves a table for another, or is only looked at (0).
func (at routing) carries(table, then uint32) (l luggage, err error) {
	index := at.link.Attrs().Index
	routes, err := at.side.Conn.Routes()
	if err == nil && then != 0 {
		routes, err = at.side.Conn.Weighed(routes, index, then)
	}
	if err != nil {
		return l, fmt.Errorf("routes: %w", err)
	}
	ranked(routes)
	for _, h := range routes {
		own := h.Protocol == unix.RTPROT_KERNEL || h.Protocol == unix.RTPROT_RA
		switch {
		case h.Link != index || h.Kind != unix.RTN_UNICAST || h.Table == unix.RT_TABLE_LOCAL:
		case h.Table != table:
			l.stays = append(l.stays, h)
		case !own:
			l.moved = append(l.moved, h)
		}
	}
	addrs, err := at.side.Conn.Given(index)
	for _, a := range addrs {
		if a.What.Addr().Is6() {
			l.addrs = append(l.addrs, a)
		}
	}
	return l, err
}

// to is the same with what leaves in another table.
func (l luggage) to(table uint32) luggage {
	l.moved = slices.Clone(l.moved)
	for i := range l.moved {
		l.moved[i].Table = table
	}
	return l
}

// join makes the interface a port of the VRF. It says whether it was none, or had left something in main.
func (at routing) join(ctx context.Context) (bool, error) {
	vrf, is := at.named.(*netlink.Vrf)
	if !is {
		return false, drift(at.Name, kindVRF, at.named.Type())
	}
	l, err := at.carries(main, vrf.Table)
	if err != nil || at.joined() && len(l.moved) == 0 {
		return false, err
	}
	there := l.to(vrf.Table)
	if err := at.drop(l.moved); err != nil {
		return false, err
	}
	if at.joined() {
		return true, at.addRoutes(there.moved)
	}
	if err = at.pass(ctx, vrf.Index, there); err != nil {
		return false, fault.Join(err, at.pass(ctx, 0, l))
	}
	return true, nil
}

// leave takes the interface out, and what it has in the table back to main. What cannot be put back there nobody misses: the link is about to go, or to be
// somewhere else.
func (at routing) leave(ctx context.Context, s *site.Site, table uint32) error {
	l, err := at.carries(table, main)
	if err == nil {
		err = at.drop(l.moved)
	}
	if err != nil {
		return err
	}
	err = at.pass(ctx, 0, l.to(main))
	if left, failed := find(at.side, at.IfName); failed == nil && left != nil && left.Attrs().MasterIndex == 0 && err != nil {
		s.Logf("%s: not all can be put back: %v", at, err)
		return nil
	}
	return err
}

// drop takes routes away. The next hop of a route with several would outlast what the interface goes through.
func (at routing) drop(routes []rtnl.Held) error {
	for _, h := range routes {
		if err := send(at.side.Conn, h.Del()); err != nil {
			return fmt.Errorf("move %s: %w", heldText(h), err)
		}
	}
	return nil
}

// pass gives the interface another master, and what it loses by that again.
func (at routing) pass(ctx context.Context, master int, l luggage) error {
	events, err := at.side.Watch(rtnl.IPv6Addr)
	if err != nil {
		return err
	}
	defer events.Close()
	if err := at.side.Conn.Send(rtnl.SetMaster(at.link.Attrs().Index, master)); err != nil {
		return fmt.Errorf("master: %w", err)
	}
	for _, a := range l.addrs {
		err := at.side.Conn.Send(rtnl.Again(a.Told, at.link.Attrs().Index))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return addressError(a.What.Prefix, err)
		}
	}
	if err := at.await(ctx, events, l, master != 0); err != nil {
		return err
	}
	return at.addRoutes(slices.Concat(l.stays, l.moved))
}

func (at routing) addRoutes(routes []rtnl.Held) error {
	for _, h := range routes {
		if err := put(at.side.Conn, h); err != nil {
			return err
		}
	}
	return nil
}

// await returns when the interface is of use again as far as it was: it can send, and its addresses are its own. Who leaves waits for that only where a route has
// such an address as its source, which the kernel refuses before.
func (at routing) await(ctx context.Context, events *rtnl.Events, l luggage, joins bool) error {
	tried := slices.ContainsFunc(l.addrs, func(a rtnl.Given) bool { return a.What.Flags&unix.IFA_F_TENTATIVE != 0 })
	sourced := slices.ContainsFunc(slices.Concat(l.moved, l.stays), func(h rtnl.Held) bool { return h.Src.Is6() })
	if tried || !joins && !sourced || at.link.Attrs().RawFlags&unix.IFF_LOWER_UP == 0 {
		return nil
	}
	if at.link.Attrs().OperState == netlink.OperUp {
		var addrs []netip.Addr
		for _, a := range l.addrs {
			addrs = append(addrs, a.What.Addr())
		}
		if _, err := (Listening{IfName: at.IfName, Addrs: addrs}).await(ctx, at.side); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dadPatience)
	defer cancel()
	err := events.Await(ctx, func() (bool, error) { return settled(at.side, at.link.Attrs().Index) })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fault.New(fault.TryLater, "see ip -6 addr show dev "+at.IfName, "addresses of %s: still tried after %s: %w", at.IfName, dadPatience.Round(time.Second), err)
	}
	return err
}
