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

// Announce is everybody on the bridge knowing where the container's addresses are: the port forwards, the container can send and listens, the
// host's stale neighbour entries are gone, and an announcement has gone to the others. An address that was another container's a moment
// ago answers at once.
type Announce struct {
	Host   string
	IfName string
	Bridge string
	Subnet string // the host's own link to the containers' subnet: the bridge, or its port for a VLAN
	Addrs  []netip.Addr
}

// patience is how long the kernel may take until a port forwards and an address is listened for. It takes microseconds, or as long as its
// works wait for others.
const patience = 10 * time.Second

func (a Announce) String() string { return "port of " + a.Bridge }

// Apply waits for the port, then tells. What it does to others' neighbour tables is theirs and not undone.
func (a Announce) Apply(ctx context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	if err := a.awaitPort(ctx, s.Host); err != nil {
		return false, err
	}
	link, err := a.awaitActive(ctx, container)
	if err != nil || len(a.Addrs) == 0 {
		return false, err
	}
	if err := a.awaitGroups(ctx, container, link.Attrs().Index); err != nil {
		return false, err
	}
	if err := a.Undo(ctx, s); err != nil { // what the host remembers of the addresses is of their last owner
		return false, err
	}
	return false, a.tell(container, link)
}

// tell makes the kernel announce the addresses: a gratuitous ARP request for each IPv4 address (RFC 5227, section 3) and an unsolicited
// neighbour advertisement for each IPv6 address (RFC 4861, section 7.2.6). It does so when the interface is given a MAC, be it the one that it has,
// because Addresses asked for it (arp_notify, ndisc_notify). Frames of our own would need a packet socket, and closing one takes the
// kernel a grace period, which is longer than all the rest of an ADD.
func (a Announce) tell(container *site.Side, link netlink.Link) error {
	if err := container.Conn.Send(rtnl.SetMAC(a.IfName, link.Attrs().HardwareAddr)); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

// awaitPort returns when the bridge passes the host end's frames. Mostly it does at the first look.
func (a Announce) awaitPort(ctx context.Context, host *site.Side) error {
	forwards := func() (bool, error) {
		port, err := host.Conn.BridgePort(a.Host)
		if err == nil && port == nil {
			err = fmt.Errorf("link %s: not a port of bridge %s", a.Host, a.Bridge)
		}
		return err == nil && port.State == rtnl.Forwarding, err
	}
	err := await(ctx, host, rtnl.Links, forwards)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.TryLater, "see bridge link show dev "+a.Host, "port %s: does not forward: %w", a.Host, err)
	}
	return err
}

// awaitActive returns when the container's end can send. It came up before it had a carrier, and until the kernel's link watch has seen
// that, whatever is sent there is thrown away without an error.
func (a Announce) awaitActive(ctx context.Context, container *site.Side) (link netlink.Link, err error) {
	err = await(ctx, container, rtnl.Links, func() (bool, error) {
		link, err = need(container, a.IfName)
		return err == nil && link.Attrs().OperState == netlink.OperUp, err
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fault.New(fault.TryLater, "see ip link show dev "+a.IfName, "interface %s: has no carrier: %w", a.IfName, err)
	}
	return link, err
}

// awaitGroups returns when the container listens to the groups in which the others ask for its IPv6 addresses. The kernel joins them in a
// work of its own some time after an address was added, and whoever asks before that waits a second for his next try.
func (a Announce) awaitGroups(ctx context.Context, container *site.Side, index int) error {
	err := await(ctx, container, rtnl.IPv6Addr, func() (bool, error) {
		have, err := container.Conn.Groups(index)
		missing := func(addr netip.Addr) bool { return addr.Is6() && !slices.Contains(have, solicitedNode(addr)) }
		return !slices.ContainsFunc(a.Addrs, missing), err
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.TryLater, "see ip maddress show dev "+a.IfName, "interface %s: does not listen for its IPv6 addresses: %w", a.IfName, err)
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

// Undo forgets the host's neighbour entries of the addresses that are known. The host asks again when it next needs one.
func (a Announce) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, a.Subnet)
	if err != nil || link == nil {
		return err
	}
	var errs []error
	for _, addr := range a.Addrs {
		errs = append(errs, forget(s.Host, link.Attrs().Index, addr))
	}
	return fault.Join(errs...)
}

func forget(host *site.Side, index int, addr netip.Addr) error {
	err := host.Conn.Send(rtnl.DelNeighbour(index, addr))
	if err == nil || errors.Is(err, unix.ENOENT) || absentLink(err) {
		return nil
	}
	return fmt.Errorf("neighbour entry of %s: %w", addr, err)
}

// Verify looks whether the port still forwards.
func (a Announce) Verify(_ context.Context, s *site.Site) error {
	port, err := s.Host.Conn.BridgePort(a.Host)
	if absentLink(err) {
		return nil // said by Veth
	}
	if err == nil && port != nil && port.State != rtnl.Forwarding {
		return drift(a.Host, "forwarding", port.State)
	}
	return err
}
