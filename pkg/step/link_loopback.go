package step

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Loopback is a container's lo being up. Who brought it up says its alias: the owner's hashes, without the names, which are not the
// container's business. It comes in the request that sets the link up, so there is no moment with one and without the other. A lo that
// somebody else set up has none; it is left as it is, and only has to be up.
type Loopback struct{ Owner owner.Owner }

// lo is the kernel's name for the loopback interface of every network namespace.
const lo = "lo"

var (
	loopback4 = netip.MustParsePrefix("127.0.0.1/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

func (l Loopback) String() string { return "loopback " + lo }

func (l Loopback) mark() string { return l.Owner.Tag(owner.MinRoom) }

func (l Loopback) marked(link netlink.Link) bool {
	o, ok := owner.Parse(link.Attrs().Alias)
	return ok && o.ID == l.Owner.ID
}

// Guard refuses where lo has an address that others may reach, as the reference does: this is no container's namespace, or not a new one.
func (l Loopback) Guard(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	_, have, err := l.look(container)
	foreign := slices.IndexFunc(have, func(a rtnl.Addr) bool { return !a.Addr().IsLoopback() })
	if err == nil && foreign >= 0 {
		err = fault.New(fault.Taken, "remove the address, or pass the container's own network namespace",
			"address %s: not a loopback address", have[foreign].Prefix)
	}
	return err
}

// look returns lo and its addresses.
func (l Loopback) look(container *site.Side) (netlink.Link, []rtnl.Addr, error) {
	link, err := need(container, lo)
	if err != nil {
		return nil, nil, err
	}
	have, err := container.Conn.Addrs(link.Attrs().Index)
	return link, have, err
}

// Apply sets lo up where it is down; the kernel gives it its addresses then. What is up already is nobody's to take down from now on
// unless this owner brought it up: two use it.
func (l Loopback) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	link, err := need(container, lo)
	if err != nil {
		return false, err
	}
	switch _, ours := owner.Parse(link.Attrs().Alias); {
	case !isUp(link):
		err = container.Conn.Send(rtnl.WithAlias(rtnl.SetUp(lo), l.mark()))
		return err == nil, err
	case l.marked(link):
		return l.complete(container)
	case ours:
		return false, unmark(container, lo)
	}
	return false, nil
}

// complete gives back the addresses that somebody removed.
func (l Loopback) complete(container *site.Side) (created bool, err error) {
	link, have, err := l.look(container)
	if err != nil {
		return false, err
	}
	missing, err := missingLoopback(container, have)
	for _, p := range missing {
		if err := container.Conn.Send(rtnl.NewAddr(link.Attrs().Index, p, unix.IFA_F_NODAD, 0)); err != nil {
			return created, addressError(p, err)
		}
		created = true
	}
	return created, err
}

// missingLoopback returns those of the kernel's own addresses that are not there. It gives the IPv6 one where IPv6 is on.
func missingLoopback(container *site.Side, have []rtnl.Addr) (missing []netip.Prefix, err error) {
	if lacks(have, loopback4) {
		missing = append(missing, loopback4)
	}
	if !lacks(have, loopback6) {
		return missing, nil
	}
	off, known, err := container.Sysctl("net/ipv6/conf/lo/disable_ipv6")
	if known && off == "0" {
		missing = append(missing, loopback6)
	}
	return missing, err
}

// Undo sets lo down where this owner brought it up and nobody else uses the namespace, which is to say that no other interface in it is up.
// Otherwise it stays, and goes with the namespace.
func (l Loopback) Undo(_ context.Context, s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	link, err := find(s.Container, lo)
	if err != nil || link == nil || !l.marked(link) {
		return err
	}
	links, err := s.Container.LinkList()
	if err != nil || slices.ContainsFunc(links, func(other netlink.Link) bool { return other.Attrs().Name != lo && isUp(other) }) {
		return err
	}
	// The kernel takes ::1 away itself, and leaves 127.0.0.1.
	err = s.Container.Conn.Send(rtnl.WithAlias(rtnl.SetDown(lo), ""), rtnl.DelAddr(link.Attrs().Index, loopback4))
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("set down: %w", err)
	}
	return nil
}

// Verify wants lo up and, where this owner brought it up, with its addresses.
func (l Loopback) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	link, have, err := l.look(container)
	switch {
	case err != nil:
		return err
	case !isUp(link):
		return drift("link "+lo, "up", "down")
	case !l.marked(link):
		return nil
	}
	missing, err := missingLoopback(container, have)
	return fault.Join(err, missingAddr(missing, have))
}
