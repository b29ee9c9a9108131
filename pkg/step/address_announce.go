package step

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

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

func (a Announce) String() string {
	return "port of " + a.Bridge
}

// Apply waits for the port, then tells. What it does to others' neighbour tables is theirs and not undone.
func (a Announce) Apply(ctx context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	if err := a.awaitPort(ctx, s.Host); err != nil {
		return false, err
	}
	link, err := Listening{IfName: a.IfName, Addrs: a.Addrs}.await(ctx, container)
	if err != nil || len(a.Addrs) == 0 {
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

// awaitPort returns when the bridge passes the host end's frames. Mostly it does at the first look. Where somebody gave it a spanning tree it does so in
// half a minute, and an ADD does not wait for that, as the reference's.
func (a Announce) awaitPort(ctx context.Context, host *site.Side) error {
	forwards := func() (bool, error) {
		port, err := host.Conn.BridgePort(a.Host)
		if err == nil && port == nil {
			err = fmt.Errorf("link %s: not a port of bridge %s", a.Host, a.Bridge)
		}
		return err == nil && passes(port.State), err
	}
	err := await(ctx, host, rtnl.Links, forwards)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.TryLater, "see bridge link show dev "+a.Host, "port %s: does not forward: %w", a.Host, err)
	}
	return err
}

// passes says whether a port passes frames, or is about to.
func passes(state rtnl.PortState) bool {
	return state == rtnl.Forwarding || state == rtnl.Listening || state == rtnl.Learning
}

// Undo forgets the host's neighbour entries of the addresses that are known. The host asks again when it next needs one.
func (a Announce) Undo(_ context.Context, s *site.Site) error {
	if len(a.Addrs) == 0 {
		return nil
	}
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

// Verify looks whether the port still forwards, or is about to.
func (a Announce) Verify(_ context.Context, s *site.Site) error {
	port, err := s.Host.Conn.BridgePort(a.Host)
	if absentLink(err) {
		return nil // said by Veth
	}
	if err == nil && port != nil && !passes(port.State) {
		return drift(a.Host, "forwarding", port.State)
	}
	return err
}
