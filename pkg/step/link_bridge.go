package step

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// bridgeAlias marks the bridges that we made.
const bridgeAlias = "trestle bridge"

// Bridge is a bridge on the host, up. It is shared ground.
type Bridge struct {
	Name          string
	MAC           net.HardwareAddr // given to a bridge that is made here, so that it never changes with the ports
	MTU           int              // bytes, of a bridge that is made here; 0: the kernel's default
	Promisc       bool             // switched on where it is off, never off
	VLANFiltering bool             // must be on in a bridge that is there already
	Gateway       bool             // the host is the containers' gateway: its address stays, and what containers advertise does not get to it
}

func (b Bridge) String() string { return "bridge " + b.Name }

// Guard refuses a name that another kind of link has, and a bridge that cannot filter VLANs as asked.
func (b Bridge) Guard(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, b.Name)
	if err != nil || link == nil {
		return err
	}
	_, err = b.kind(link)
	return err
}

// Ready says, of a bridge that must filter VLANs, whether this kernel's can, and the one that is there does.
func (b Bridge) Ready(ctx context.Context, s *site.Site) error {
	if !b.VLANFiltering {
		return nil
	}
	can, err := s.Host.Conn.FiltersVLANs()
	if err == nil && !can {
		err = noFiltering(unix.EOPNOTSUPP)
	}
	if err == nil {
		err = b.Guard(ctx, s)
	}
	return err
}

// Apply makes the bridge, or takes the one that is there.
func (b Bridge) Apply(_ context.Context, s *site.Site) (bool, error) {
	link, err := find(s.Host, b.Name)
	if err != nil {
		return false, err
	}
	made := false
	if link == nil {
		if made, err = b.create(s.Host); err != nil {
			return false, err
		}
		if link, err = need(s.Host, b.Name); err != nil {
			return made, err
		}
	}
	if _, err := b.kind(link); err != nil {
		return made, err
	}
	if made {
		// A bridge that we made uses its link-local address at once. While that is being checked for duplicates, for one or two seconds, the
		// kernel asks for no neighbour, and the first container's IPv6 traffic from outside waits for it.
		prefer(s, s.Host, "net/ipv6/conf/"+b.Name+"/accept_dad", "0")
	}
	return made, b.raise(s, link)
}

func (b Bridge) create(host *site.Side) (made bool, err error) {
	err = host.Conn.Send(rtnl.NewBridge(b.Name, b.MAC, b.MTU, b.VLANFiltering), rtnl.SetAlias(b.Name, bridgeAlias))
	switch {
	case errors.Is(err, unix.EEXIST): // by somebody who does not take our lock
		return false, unmark(host, b.Name)
	case errors.Is(err, unix.EOPNOTSUPP) && b.VLANFiltering:
		return false, noFiltering(err)
	}
	return err == nil, err
}

// unmark takes back the alias that was sent along with a request to make a link which failed because the name was taken at the same
// moment: the link is somebody else's. It was made a moment ago, so there was no other alias.
func unmark(host *site.Side, link string) error { return host.Conn.Send(rtnl.SetAlias(link, "")) }

// raise refuses router advertisements before the bridge is up (CVE-2020-10749), then sets it up.
func (b Bridge) raise(s *site.Site, link netlink.Link) error {
	host := s.Host
	if err := refuseRA(s, b.Name, b.Gateway); err != nil {
		return err
	}
	if b.Promisc && !promiscuous(link) {
		if err := host.Conn.Send(rtnl.SetPromisc(b.Name, true)); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
	}
	if err := b.pin(host, link); err != nil || isUp(link) {
		return err
	}
	return host.Conn.Send(rtnl.SetUp(b.Name))
}

// kind returns link as the bridge that this network needs.
func (b Bridge) kind(link netlink.Link) (*netlink.Bridge, error) {
	bridge, ok := link.(*netlink.Bridge)
	if !ok {
		return nil, fault.New(fault.Taken, "choose another name for the bridge, or remove that link",
			"link %s: is a %s, not a bridge", b.Name, link.Type())
	}
	if b.VLANFiltering && (bridge.VlanFiltering == nil || !*bridge.VlanFiltering) {
		return nil, fault.New(fault.Unsupported, "ip link set "+b.Name+" type bridge vlan_filtering 1, or use another bridge",
			"link %s: vlan_filtering is off, and the network needs it", b.Name)
	}
	return bridge, nil
}

func noFiltering(err error) error {
	return fault.New(fault.Unsupported, "use a kernel with CONFIG_BRIDGE_VLAN_FILTERING, or leave vlan and vlanTrunk out",
		"vlan_filtering: this kernel cannot: %w", err)
}

func promiscuous(link netlink.Link) bool { return link.Attrs().RawFlags&unix.IFF_PROMISC != 0 }

// Undo removes a bridge that we made when it has no port left. A bridge of somebody else's stays.
func (b Bridge) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, b.Name)
	if err != nil || link == nil || link.Attrs().Alias != bridgeAlias {
		return err
	}
	links, err := s.Host.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().MasterIndex == link.Attrs().Index {
			return nil
		}
	}
	if err := s.Host.Conn.Send(rtnl.DelLink(link.Attrs().Index)); err != nil && !absentLink(err) {
		return err
	}
	return nil
}

// Verify compares what the network needs of the bridge. Promiscuous mode that something else switched on is no drift.
func (b Bridge) Verify(_ context.Context, s *site.Site) error {
	link, err := need(s.Host, b.Name)
	if err != nil {
		return err
	}
	if _, err := b.kind(link); err != nil {
		return err
	}
	if !isUp(link) {
		return drift("link "+b.Name, "up", "down")
	}
	if b.Promisc && !promiscuous(link) {
		return drift("link "+b.Name, "promiscuous", "not promiscuous")
	}
	return fault.Join(b.verifyPinned(link), refusesRA(s, b.Name, b.Gateway))
}
