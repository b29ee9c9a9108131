package rtnl

import (
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Link is a link of one kind that is to be made, down.
type Link struct {
	Name, Kind string
	MAC        net.HardwareAddr // nil: the kernel's choice
	MTU        int              // bytes; 0: the kernel's choice, mostly the parent's
	Parent     int              // index of the link that it hangs on, in the namespace of the connection; 0: none
	NS         int              // descriptor of the namespace that it is to be in; negative: that of the connection
	Data       []*nl.RtAttr     // what is particular to the kind, IFLA_INFO_DATA
}

// NewLink returns the request that makes the link. Kernels before 6.15 look for its name in the namespace of the connection, too, and refuse one that is
// taken there.
func NewLink(l Link) *nl.NetlinkRequest {
	r := Request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	for _, a := range linkAttrs(l.Name, l.MAC, l.MTU) {
		r.AddData(a)
	}
	if l.Parent != 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(l.Parent))))
	}
	if l.NS >= 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(l.NS))))
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, []byte(l.Kind))
	if len(l.Data) > 0 {
		data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
		for _, a := range l.Data {
			data.AddChild(a)
		}
	}
	r.AddData(info)
	return r
}

// CanMake asks the kernel for a link of the kind with an Ethernet address that none has, one byte: where it knows the kind it finds that out (EINVAL), else
// it says that it does not (EOPNOTSUPP). So nothing is made, and a module that can be loaded is.
func (c *Conn) CanMake(kind string) error {
	err := c.Send(NewLink(Link{Name: "probe", Kind: kind, MAC: net.HardwareAddr{0}, NS: -1}))
	c.changes-- // it was none
	return err
}

// Dress returns the request that gives the link with the index its name and alias.
func Dress(index int, name, alias string) *nl.NetlinkRequest {
	r := byIndex(unix.RTM_SETLINK, index)
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return WithAlias(r, alias)
}

// DefaultLinks are the links by which the host sends what it knows no other way for: those of the next hops of the main table's first default route, of IPv4 before those of IPv6.
func (c *Conn) DefaultLinks() (links []int, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		routes, err := c.dumpRoutes(family, 0, 0)
		if err != nil {
			return links, err
		}
		first := -1
		for _, r := range routes {
			if r.bits == 0 && r.kind == unix.RTN_UNICAST && r.table == unix.RT_TABLE_MAIN && r.out != 0 && (first < 0 || r.nth == first) {
				first, links = r.nth, append(links, r.out)
			}
		}
	}
	return links, nil
}

// Fit returns the request that gives the link with the index, where they are not nil or 0, an Ethernet address, an MTU and a master.
func Fit(index int, mac net.HardwareAddr, mtu, master int) *nl.NetlinkRequest {
	r := byIndex(unix.RTM_SETLINK, index)
	if mac != nil {
		r.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	}
	number(r, unix.IFLA_MTU, uint32(mtu))
	number(r, unix.IFLA_MASTER, uint32(master))
	return r
}

// Move returns the request that puts the link with the index into the namespace of the descriptor, if it is none below 0, and gives it name and alias there.
func Move(index, ns int, name, alias string) *nl.NetlinkRequest {
	r := Dress(index, name, alias)
	if ns >= 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(ns))))
	}
	return r
}

// SetMaster returns the request that makes the link with the index a port of the one with the index master, or of none (0).
func SetMaster(index, master int) *nl.NetlinkRequest {
	r := byIndex(unix.RTM_SETLINK, index)
	r.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
	return r
}

// NewVRF returns the request that makes a VRF, down, with the routing table of that number.
func NewVRF(name string, table uint32) *nl.NetlinkRequest {
	return NewLink(Link{Name: name, Kind: "vrf", NS: -1, Data: []*nl.RtAttr{nl.NewRtAttr(nl.IFLA_VRF_TABLE, nl.Uint32Attr(table))}})
}
