package step

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// IPvlan is a link with the Ethernet address of its parent, and IP addresses of its own.
type IPvlan struct{ Mode, Flag string } // of IPvlanModes, IPvlanFlags

// IPvlanModes are the modes' names, IPvlanFlags those of how links of one parent reach each other.
func IPvlanModes() []string { return slices.Sorted(maps.Keys(ipvlanModes)) }

// IPvlanFlags are the flags' names.
func IPvlanFlags() []string { return slices.Sorted(maps.Keys(ipvlanFlags)) }

// The numbers of enum ipvlan_mode and IPVLAN_F_* of include/uapi/linux/if_link.h, which are the library's.
var (
	ipvlanModes = map[string]netlink.IPVlanMode{"l2": netlink.IPVLAN_MODE_L2, "l3": netlink.IPVLAN_MODE_L3, "l3s": netlink.IPVLAN_MODE_L3S}
	ipvlanFlags = map[string]netlink.IPVlanFlag{"bridge": netlink.IPVLAN_FLAG_BRIDGE, "private": netlink.IPVLAN_FLAG_PRIVATE, "vepa": netlink.IPVLAN_FLAG_VEPA}
)

func (i IPvlan) kind() string { return "ipvlan" }

func (i IPvlan) hangs() bool { return true }

func (i IPvlan) ready(host *site.Side) error { return makes(host, i.kind(), i.kind()) }

// fits wants those that hang there to be of the same mode and flag: these are the parent's, and whoever is made last changes them for all (drivers/net/ipvlan/ipvlan_main.c). As one is, all are; and one that the parent is itself hangs where this one will.
func (i IPvlan) fits(side *site.Side, parent netlink.Link) error {
	if err := free(side, parent); err != nil {
		return err
	}
	if other, is := parent.(*netlink.IPVlan); is {
		return i.agrees(parent, other, "it is itself")
	}
	for link, whose := range hung(side, parent) {
		if other, is := link.(*netlink.IPVlan); is {
			return i.agrees(parent, other, whose)
		}
	}
	return nil
}

func (i IPvlan) agrees(parent netlink.Link, other *netlink.IPVlan, whose string) error {
	if other.Mode == ipvlanModes[i.Mode] && other.Flag == ipvlanFlags[i.Flag] {
		return nil
	}
	return fault.New(fault.Taken, "use these, or another parent", "master: link %s: its links are of mode %s, flags %s, as %s, and a parent has one of each",
		parent.Attrs().Name, nameIn(ipvlanModes, other.Mode), nameIn(ipvlanFlags, other.Flag), whose)
}

func (i IPvlan) create(on *site.Side, l rtnl.Link) error {
	l.Kind, l.Data = i.kind(), []*nl.RtAttr{
		nl.NewRtAttr(nl.IFLA_IPVLAN_MODE, nl.Uint16Attr(uint16(ipvlanModes[i.Mode]))),
		nl.NewRtAttr(nl.IFLA_IPVLAN_FLAG, nl.Uint16Attr(uint16(ipvlanFlags[i.Flag]))),
	}
	return on.Conn.Send(rtnl.NewLink(l))
}

func (i IPvlan) explain(s *site.Site, l Lone, err error) error { return l.Parent.busy(s, err) }

func (i IPvlan) verify(_ *site.Side, link netlink.Link) error {
	found, ok := link.(*netlink.IPVlan)
	switch a := link.Attrs(); {
	case !ok:
		return nil // said by Lone
	case found.Mode != ipvlanModes[i.Mode]:
		return drift("mode of "+a.Name, i.Mode, nameIn(ipvlanModes, found.Mode))
	case found.Flag != ipvlanFlags[i.Flag]:
		return drift("flags of "+a.Name, i.Flag, nameIn(ipvlanFlags, found.Flag))
	}
	return nil
}

func nameIn[N comparable](names map[string]N, number N) string {
	for name, n := range names {
		if n == number {
			return name
		}
	}
	return fmt.Sprint(number)
}
