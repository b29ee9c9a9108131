package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Veth is the pair of links that joins a container to the host: Host is on the host, a port of the bridge where there is one, and IfName is in the
// container. The host end's alias says whose it is. Both ends are made down.
type Veth struct {
	Owner        owner.Owner
	Kind         string           // Netkit; empty: a veth
	Host         string           // the owner's HostLink; another name when the attachment was made by the reference
	IfName       string           // empty when only the host side is known (GC)
	Bridge       string           // empty: the host's end is no port
	HostMAC      net.HardwareAddr // nil: not known, not compared
	MAC          net.HardwareAddr
	MTU          int // bytes, both ends; 0: the kernel's default
	ContainerMTU int // what CHECK wants of the container's end: what the result has, which a later plugin may have changed, or what was made; 0: nothing
	Hairpin      bool
	Isolated     bool
	Guarded      bool // made for Guard, which looks at it
}

// Netkit is the kind of a pair without the queue between its ends.
const Netkit = rtnl.NetkitKind

func (v Veth) String() string {
	pair := fmt.Sprintf("%s %s<->%s", v.kind(), v.Host, v.IfName)
	if v.Bridge == "" {
		return pair
	}
	return pair + " on " + v.Bridge
}

// Carries marks what hangs on the pair: addresses, routes, the links' state.
func (v Veth) Carries() {}

// ethernetMTU is what veth(4) starts with, ETH_DATA_LEN of include/uapi/linux/if_ether.h.
const ethernetMTU = 1500

func (v Veth) kind() string { return cmp.Or(v.Kind, rtnl.VethKind) }

// Ready says whether this kernel makes such pairs. Every one makes a veth.
func (v Veth) Ready(_ context.Context, s *site.Site) error {
	if v.Kind == "" {
		return nil
	}
	return makes(s.Host, v.Kind, v.Kind)
}

// Guard refuses when either end's name is taken, or the pair cannot be made here.
func (v Veth) Guard(ctx context.Context, s *site.Site) error {
	if err := v.Ready(ctx, s); err != nil {
		return err
	}
	if link, err := find(s.Host, v.Host); err != nil || link != nil {
		return fault.Join(err, v.taken(link))
	}
	if s.Container == nil {
		return nil
	}
	if link, err := find(s.Container, v.IfName); err != nil || link != nil {
		return fault.Join(err, inUse(v.IfName))
	}
	return nil
}

// taken names the owner of the host link that has our name; nil for no link.
func (v Veth) taken(link netlink.Link) error {
	if link == nil {
		return nil
	}
	if o, ok := owner.Parse(link.Attrs().Alias); ok && o.ID == v.Owner.ID {
		return fault.New(fault.Taken, "delete it before you add it again", "attachment %s: exists already, with link %s", v.Owner, v.Host)
	}
	return fault.New(fault.Taken, "remove that link", "link %s: exists already, marked %q", v.Host, link.Attrs().Alias)
}

// Apply makes the pair and marks it in one send: there is no moment in which a kill leaves an unmarked pair.
func (v Veth) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	if link, err := find(s.Host, v.Host); err != nil {
		return false, err
	} else if link != nil {
		if o, ok := owner.Parse(link.Attrs().Alias); ok && o.ID == v.Owner.ID {
			return false, nil
		}
		return false, v.taken(link)
	}
	if err := v.create(s, container); err != nil {
		return false, err
	}
	return true, v.tune(s)
}

func (v Veth) create(s *site.Site, container *site.Side) error {
	master, err := v.master(s.Host)
	if err != nil {
		return err
	}
	if master == gone {
		return absent(s.Host, v.Bridge)
	}
	err = s.Host.Conn.Send(
		rtnl.NewVeth(rtnl.Veth{Kind: v.Kind, Name: v.Host, Peer: v.IfName, MAC: v.HostMAC, PeerMAC: v.MAC, MTU: v.MTU,
			Master: master, PeerNS: container.NS, Group: v.group()}),
		rtnl.SetAlias(v.Host, v.Owner.Tag(owner.AliasRoom)))
	if err != nil {
		return v.createError(s, err)
	}
	return nil
}

// master is the index of the bridge that the host's end is a port of: 0 where it is to be none, gone where that bridge is not there.
func (v Veth) master(host *site.Side) (int, error) {
	if v.Bridge == "" {
		return 0, nil
	}
	bridge, err := find(host, v.Bridge)
	if err != nil || bridge == nil {
		return gone, err
	}
	return bridge.Attrs().Index, nil
}

// gone is no link's index.
const gone = -1

// tune sets what the create request cannot carry.
func (v Veth) tune(s *site.Site) error {
	host := s.Host
	if v.Bridge != "" { // which takes what comes to its ports: this is for a port that somebody takes off
		prefer(s, host, acceptRA(v.Host), "0")
	} else if err := refuseRA(s, v.Host, false); err != nil {
		return err
	}
	if !v.Hairpin && !v.Isolated { // a port begins with both off
		return nil
	}
	link, err := need(host, v.Host)
	if err != nil {
		return err
	}
	err = host.Conn.Send(rtnl.SetBridgePort(link.Attrs().Index, v.Hairpin, v.Isolated))
	if err != nil {
		return fmt.Errorf("port flags (hairpin %v, isolated %v): %w", v.Hairpin, v.Isolated, err)
	}
	return nil
}

func (v Veth) createError(s *site.Site, err error) error {
	if errors.Is(err, unix.EEXIST) {
		if link, e := find(s.Container, v.IfName); e == nil && link != nil {
			return fault.New(fault.Taken, "use another interface name", "interface %s: exists already in the container", v.IfName)
		}
		if link, e := find(s.Host, v.Host); e == nil && link != nil { // made at the same moment by somebody else
			return fault.Join(fault.New(fault.Taken, "remove that link", "link %s: exists already", v.Host), unmark(s.Host, v.Host))
		}
	}
	return fmt.Errorf("create, mtu %d: %w", v.MTU, err)
}

// Undo removes the pair by its host end if the alias is the owner's, or by its container end if that was made by the reference, which
// leaves no alias. A link of somebody else's stays. What has the owner's alias goes though it be no pair: another plugin made the interface then.
func (v Veth) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, v.Owner.HostLink())
	if err != nil {
		return err
	}
	if link != nil && marked(link, v.Owner) {
		if err := remove(s.Host, link); err != nil || rtnl.Paired(link) {
			return err
		}
	}
	if s.Container == nil || v.IfName == "" {
		return nil
	}
	if link, err = find(s.Container, v.IfName); err != nil || link == nil {
		return err
	}
	if marked(link, v.Owner) {
		return remove(s.Container, link)
	}
	return v.undoUnmarked(s, link)
}

func (v Veth) undoUnmarked(s *site.Site, link netlink.Link) error {
	if !rtnl.Paired(link) || link.Attrs().Alias != "" { // a device that was lent, perhaps
		return nil
	}
	peer, err := s.Host.LinkByIndex(link.Attrs().ParentIndex)
	if absentLink(err) {
		return nil // the other end is not on this host: not ours, nor the reference's
	}
	if err != nil {
		return err
	}
	master, err := v.master(s.Host)
	if err != nil || peer.Attrs().Alias != "" {
		return err
	}
	made := v.Host != v.Owner.HostLink() && peer.Attrs().Name == v.Host // as prevResult has it, whatever bridge the configuration names today
	if !made && peer.Attrs().MasterIndex != master {
		return nil
	}
	return remove(s.Container, link)
}

// Verify compares both ends with what was made: that they are each other's peer, the port and its flags, MACs and MTUs.
func (v Veth) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	host, err := need(s.Host, v.Host)
	if err != nil {
		return err
	}
	in, err := need(container, v.IfName)
	if err != nil {
		return err
	}
	return fault.Join(v.verifyPair(host, in), v.verifyPort(s, host), v.verifyMark(host),
		sameMAC(v.Host, v.HostMAC, host), sameMAC(v.IfName, v.MAC, in), v.verifyMTU(host, in))
}

func (v Veth) verifyPair(host, in netlink.Link) error {
	if in.Type() != v.kind() {
		return drift("kind of "+v.IfName, v.kind(), in.Type())
	}
	if in.Attrs().ParentIndex != host.Attrs().Index || host.Attrs().ParentIndex != in.Attrs().Index {
		return drift("peer of "+v.IfName, v.Host, "another link")
	}
	return nil
}

func (v Veth) verifyPort(s *site.Site, host netlink.Link) error {
	master, err := v.master(s.Host)
	if err != nil {
		return err
	}
	if master == gone {
		return absent(s.Host, v.Bridge)
	}
	if host.Attrs().MasterIndex != master {
		return drift("bridge of "+v.Host, cmp.Or(v.Bridge, "none"), "another or none")
	}
	if master == 0 {
		return nil
	}
	port, err := s.Host.Conn.BridgePort(v.Host)
	switch {
	case err != nil:
		return err
	case port == nil:
		return drift("bridge of "+v.Host, v.Bridge, "none")
	case port.Hairpin != v.Hairpin:
		return drift("hairpin of "+v.Host, v.Hairpin, port.Hairpin)
	case port.Isolated != v.Isolated:
		return drift("isolation of "+v.Host, v.Isolated, port.Isolated)
	}
	return nil
}

// verifyMark wants the alias on what we made; the reference makes none.
func (v Veth) verifyMark(host netlink.Link) error {
	if v.Host != v.Owner.HostLink() {
		return nil
	}
	if o, ok := owner.Parse(host.Attrs().Alias); !ok || o.ID != v.Owner.ID {
		return drift("alias of "+v.Host, fmt.Sprintf("%q", v.Owner.Tag(owner.AliasRoom)), fmt.Sprintf("%q", host.Attrs().Alias))
	}
	return nil
}

func (v Veth) verifyMTU(host, in netlink.Link) error {
	want := v.MTU
	if want == 0 {
		want = ethernetMTU
	}
	if got := host.Attrs().MTU; got != want {
		return drift("mtu of "+v.Host, want, got)
	}
	return sameMTU(v.Owner, v.IfName, v.ContainerMTU, in)
}
