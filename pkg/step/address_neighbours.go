package step

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Neighbours are addresses on the container's link whose Ethernet address it knows without asking: nobody there has them, and would answer.
type Neighbours struct {
	IfName string
	Addrs  []netip.Addr
	MAC    net.HardwareAddr
}

func (n Neighbours) String() string { return "neighbours on " + n.IfName }

// Inside says that all goes with the link.
func (n Neighbours) Inside() {}

// Mendable says that one that somebody took away is made again by Apply.
func (n Neighbours) Mendable() {}

// Apply makes those known that are not.
func (n Neighbours) Apply(_ context.Context, s *site.Site) (created bool, err error) {
	container, index, unknown, err := n.look(s)
	for _, a := range unknown {
		if err := container.Conn.Send(rtnl.NewNeighbour(index, a, n.MAC)); err != nil {
			return created, fmt.Errorf("%s: %w", a, err)
		}
		created = true
	}
	return created, err
}

// Undo has them forgotten.
func (n Neighbours) Undo(_ context.Context, s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	link, err := find(s.Container, n.IfName)
	if err != nil || link == nil {
		return err
	}
	var errs []error
	for _, a := range n.Addrs {
		if err := s.Container.Conn.Send(rtnl.DelNeighbour(link.Attrs().Index, a)); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("forget %s: %w", a, err))
		}
	}
	return fault.Join(errs...)
}

// Verify wants each known.
func (n Neighbours) Verify(_ context.Context, s *site.Site) error {
	_, _, unknown, err := n.look(s)
	errs := []error{err}
	for _, a := range unknown {
		errs = append(errs, drift(a.String(), "at "+n.MAC.String(), "another or none"))
	}
	return fault.Join(errs...)
}

// look returns those that are not known for good.
func (n Neighbours) look(s *site.Site) (container *site.Side, index int, unknown []netip.Addr, err error) {
	if container, err = inside(s); err != nil || len(n.Addrs) == 0 {
		return container, 0, nil, err
	}
	link, err := need(container, n.IfName)
	if err != nil {
		return container, 0, nil, err
	}
	index = link.Attrs().Index
	known, err := container.Conn.Neighbours()
	if err != nil {
		return container, index, nil, fmt.Errorf("neighbours: %w", err)
	}
	for _, a := range n.Addrs {
		if !slices.ContainsFunc(known, func(k *netlink.Neigh) bool { return k.LinkIndex == index && n.is(k, a) }) {
			unknown = append(unknown, a)
		}
	}
	return container, index, unknown, nil
}

func (n Neighbours) is(known *netlink.Neigh, a netip.Addr) bool {
	addr, _ := netip.AddrFromSlice(known.IP)
	return addr.Unmap() == a && known.State&netlink.NUD_PERMANENT != 0 && bytes.Equal(known.HardwareAddr, n.MAC)
}
