package reach

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// Overhead is what a tunnel over this family adds to a packet: its headers, UDP's, VXLAN's and Ethernet's.
func Overhead(over netip.Addr) int {
	if over.Is4() {
		return 20 + 8 + 8 + 14
	}
	return 40 + 8 + 8 + 14
}

// MTU is what is left for containers of the MTU of this host's link; 0 where that is all of it.
func (r *Reach) MTU() (int, error) {
	if !r.Mode.tunnels() {
		return 0, nil
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	mtu, err := r.kernel.underlay(r.Local)
	return mtu - Overhead(r.Local), err
}

// link is the index of the tunnel, which is made where it is missing, and anew where it is not as it should be. It learns nothing and floods nothing: it
// has no end for what it does not know.
func (k *kernel) link(c Config) (index int, err error) {
	mtu, err := k.underlay(c.Local)
	if err != nil {
		return 0, err
	}
	mtu -= Overhead(c.Local)
	there, err := k.present(c)
	switch {
	case err != nil:
		return 0, fmt.Errorf("link %s: %w", c.name(), err)
	case there == nil:
	case !c.ours(there):
		return 0, fault.New(fault.Taken, "rename it, or take another vni", "link %s: is somebody else's", c.name())
	case c.right(there):
		return there.Attrs().Index, k.fit(c, there, mtu)
	default:
		if err := k.Send(rtnl.DelLink(there.Attrs().Index)); err != nil {
			return 0, fmt.Errorf("link %s: remove: %w", c.name(), err)
		}
	}
	if err := k.Send(c.newTunnel(mtu), rtnl.SetAlias(c.name(), "trestle-node "+c.Network), rtnl.SetUp(c.name())); err != nil {
		return 0, c.refused(err)
	}
	there, err = k.LinkByName(c.name())
	if err != nil {
		return 0, fmt.Errorf("link %s: %w", c.name(), err)
	}
	return there.Attrs().Index, nil
}

// present is the link that has the tunnel's name, or the tunnel by another: one that was renamed, or that had another vni. Nil where there is neither.
func (k *kernel) present(c Config) (netlink.Link, error) {
	there, err := k.LinkByName(c.name())
	if !errors.Is(err, unix.ENODEV) {
		return there, err
	}
	all, err := k.Links()
	for _, l := range all {
		if c.ours(l) {
			return l, nil
		}
	}
	return nil, err
}

// underlay is the MTU of the link that has this host's address.
func (k *kernel) underlay(local netip.Addr) (mtu int, err error) {
	all, err := k.AllAddrs()
	if err != nil {
		return 0, fmt.Errorf("addresses: %w", err)
	}
	for index, addrs := range all {
		for _, a := range addrs {
			if a.Addr() != local {
				continue
			}
			link, err := k.LinkByIndex(index)
			if err != nil {
				return 0, fmt.Errorf("link %d: %w", index, err)
			}
			if link.Attrs().Flags&net.FlagLoopback != 0 {
				return k.outward()
			}
			return link.Attrs().MTU, nil
		}
	}
	return 0, fault.New(fault.Config, "via must begin with an address of this host, which the tunnel has for its end", "tunnel: %s: is no address of this host", local)
}

// outward is the least MTU of the links by which a host sends whose address is on lo, as where every link has a router of its own behind it; Ethernet's where none is known.
func (k *kernel) outward() (mtu int, err error) {
	links, err := k.DefaultLinks()
	mtu = 1500
	for i, index := range links {
		link, err := k.LinkByIndex(index)
		if err != nil {
			return 0, fmt.Errorf("link %d: %w", index, err)
		}
		if i == 0 || link.Attrs().MTU < mtu {
			mtu = link.Attrs().MTU
		}
	}
	return mtu, err
}

// ours says whether the link is: nobody else has that Ethernet address.
func (c Config) ours(l netlink.Link) bool {
	mac := c.end(c.Node)
	return l.Type() == "vxlan" && (bytes.Equal(l.Attrs().HardwareAddr, mac[:]) || l.Attrs().Alias == "trestle-node "+c.Network)
}

// right says whether what cannot be changed is as it should be.
func (c Config) right(l netlink.Link) bool {
	v, ok := l.(*netlink.Vxlan)
	if !ok {
		return false
	}
	local, _ := netip.AddrFromSlice(v.SrcAddr)
	mac := c.end(c.Node)
	plain := v.TTL == 0 && v.TOS == 0 && !v.Proxy && !v.RSC && !v.FlowBased && !v.GBP && v.MasterIndex == 0
	return plain && v.Name == c.name() && v.VxlanId == c.VNI && v.Port == c.Port && local.Unmap() == c.Local && !v.Learning && v.Group == nil && bytes.Equal(l.Attrs().HardwareAddr, mac[:])
}

// fit mends what can be changed.
func (k *kernel) fit(c Config, l netlink.Link, mtu int) error {
	var q []*nl.NetlinkRequest
	if l.Attrs().MTU != mtu {
		q = append(q, rtnl.SetMTU(l.Attrs().Name, mtu))
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		q = append(q, rtnl.SetUp(l.Attrs().Name))
	}
	if len(q) == 0 {
		return nil
	}
	if err := k.Send(q...); err != nil {
		return c.refused(err)
	}
	return nil
}

// refused is why the kernel makes no tunnel, or leaves it down: who has its UDP port shows when the link goes up.
func (c Config) refused(err error) error {
	return fault.New(fault.Unsupported, "is the module vxlan there, and are this vni and vxlanPort nobody else's? (ss -lun; ip -d link show type vxlan)", "link %s, UDP port %d: %w", c.name(), c.Port, err)
}

func (c Config) newTunnel(mtu int) *nl.NetlinkRequest {
	mac := c.end(c.Node)
	local := nl.NewRtAttr(nl.IFLA_VXLAN_LOCAL, c.Local.AsSlice())
	if !c.Local.Is4() {
		local = nl.NewRtAttr(nl.IFLA_VXLAN_LOCAL6, c.Local.AsSlice())
	}
	return rtnl.NewLink(rtnl.Link{Name: c.name(), Kind: "vxlan", MAC: mac[:], MTU: mtu, NS: -1, Data: []*nl.RtAttr{
		nl.NewRtAttr(nl.IFLA_VXLAN_ID, nl.Uint32Attr(uint32(c.VNI))), local,
		nl.NewRtAttr(nl.IFLA_VXLAN_LEARNING, []byte{0}),
		nl.NewRtAttr(nl.IFLA_VXLAN_PORT, binary.BigEndian.AppendUint16(nil, uint16(c.Port))),
	}})
}
