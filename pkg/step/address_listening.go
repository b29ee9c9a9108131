package step

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Listening is the container's end being of use: what is sent there arrives, and it is listened for its addresses. It makes nothing.
type Listening struct {
	IfName string
	Addrs  []netip.Addr
}

func (l Listening) String() string { return "carrier of " + l.IfName }

// Inside says that all goes with the link.
func (l Listening) Inside() {}

// Apply waits.
func (l Listening) Apply(ctx context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	_, err = l.await(ctx, container)
	return false, err
}

// Undo has nothing to take back.
func (l Listening) Undo(context.Context, *site.Site) error { return nil }

// Verify has nothing to look at: that the links are up is Up's.
func (l Listening) Verify(context.Context, *site.Site) error { return nil }

// patience is how long the kernel may take until a port forwards and an address is listened for. It takes microseconds, or as long as its
// works wait for others.
const patience = 10 * time.Second

// await returns the link once it is of use.
func (l Listening) await(ctx context.Context, container *site.Side) (netlink.Link, error) {
	link, err := l.awaitActive(ctx, container)
	if err == nil && len(l.Addrs) > 0 {
		err = l.awaitGroups(ctx, container, link.Attrs().Index)
	}
	return link, err
}

// awaitActive returns when the container's end can send. It came up before it had a carrier, and until the kernel's link watch has seen
// that, whatever is sent there is thrown away without an error.
func (l Listening) awaitActive(ctx context.Context, container *site.Side) (link netlink.Link, err error) {
	err = await(ctx, container, rtnl.Links, func() (bool, error) {
		link, err = need(container, l.IfName)
		return err == nil && link.Attrs().OperState == netlink.OperUp, err
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fault.New(fault.TryLater, "see ip link show dev "+l.IfName, "interface %s: has no carrier: %w", l.IfName, err)
	}
	return link, err
}

// awaitGroups returns when the container listens to the groups in which the others ask for its IPv6 addresses. The kernel joins them in a
// work of its own some time after an address was added, and whoever asks before that waits a second for his next try.
func (l Listening) awaitGroups(ctx context.Context, container *site.Side, index int) error {
	err := await(ctx, container, rtnl.IPv6Addr, func() (bool, error) {
		have, err := container.Conn.Groups(index)
		missing := func(addr netip.Addr) bool { return addr.Is6() && !slices.Contains(have, solicitedNode(addr)) }
		return !slices.ContainsFunc(l.Addrs, missing), err
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.TryLater, "see ip maddress show dev "+l.IfName, "interface %s: does not listen for its IPv6 addresses: %w", l.IfName, err)
	}
	return err
}

// solicitedNode is the group in which an address is asked for, ff02::1:ff00:0/104 (RFC 4291, section 2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	group, own := netip.MustParseAddr("ff02::1:ff00:0").As16(), addr.As16()
	copy(group[13:], own[13:])
	return netip.AddrFrom16(group)
}

// await returns when see says true, which it mostly does at once, and otherwise looks again after each event of the group.
func await(ctx context.Context, side *site.Side, group uint, see func() (bool, error)) error {
	look := func() (bool, error) {
		side.Forget()
		return see()
	}
	if done, err := look(); done || err != nil {
		return err
	}
	events, err := side.Watch(group)
	if err != nil {
		return err
	}
	defer events.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return events.Await(ctx, look)
}
