package step

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Macvlan is a link with an Ethernet address of its own on its parent's wire.
type Macvlan struct {
	Mode   string // of MacvlanModes
	Queued uint32 // broadcasts that may wait; 0: the kernel's default
}

// Passthru is the mode in which the link has the whole parent for itself, Ethernet address and all.
const Passthru = "passthru"

// MacvlanModes are the modes' names.
func MacvlanModes() []string { return slices.Sorted(maps.Keys(macvlanModes)) }

// macvlanModes are the kernel's numbers (enum macvlan_mode, include/uapi/linux/if_link.h) and the library's.
var macvlanModes = map[string]struct {
	kernel  uint32
	library netlink.MacvlanMode
}{
	"private": {nl.MACVLAN_MODE_PRIVATE, netlink.MACVLAN_MODE_PRIVATE},
	"vepa":    {nl.MACVLAN_MODE_VEPA, netlink.MACVLAN_MODE_VEPA},
	"bridge":  {nl.MACVLAN_MODE_BRIDGE, netlink.MACVLAN_MODE_BRIDGE},
	Passthru:  {nl.MACVLAN_MODE_PASSTHRU, netlink.MACVLAN_MODE_PASSTHRU},
}

func (m Macvlan) kind() string { return "macvlan" }

func (m Macvlan) hangs() bool { return true }

func (m Macvlan) ready(host *site.Side) error { return makes(host, m.kind(), m.kind()) }

func (m Macvlan) fits(side *site.Side, parent netlink.Link) error { return free(side, parent) }

func (m Macvlan) create(on *site.Side, l rtnl.Link) error { return on.Conn.Send(m.request(l)) }

func (m Macvlan) request(l rtnl.Link) *nl.NetlinkRequest {
	l.Kind, l.Data = m.kind(), []*nl.RtAttr{nl.NewRtAttr(nl.IFLA_MACVLAN_MODE, nl.Uint32Attr(macvlanModes[m.Mode].kernel))}
	if m.Queued != 0 {
		l.Data = append(l.Data, nl.NewRtAttr(nl.IFLA_MACVLAN_BC_QUEUE_LEN, nl.Uint32Attr(m.Queued)))
	}
	return rtnl.NewLink(l)
}

func (m Macvlan) explain(s *site.Site, l Lone, err error) error {
	if errors.Is(err, unix.EINVAL) && (m.Mode == Passthru || l.MAC != nil) {
		return fault.New(fault.Taken, "a link in mode passthru has its parent alone: use another parent, or another mode", "%s, mode %s: refused by the kernel, as beside links that the parent has: %w",
			l, m.Mode, err)
	}
	return l.Parent.busy(s, err)
}

func (m Macvlan) verify(_ *site.Side, link netlink.Link) error {
	found, ok := link.(*netlink.Macvlan)
	switch a := link.Attrs(); {
	case !ok:
		return nil // said by Lone
	case found.Mode != macvlanModes[m.Mode].library:
		return drift("mode of "+a.Name, m.Mode, macvlanMode(found.Mode))
	case m.Queued != 0 && found.BCQueueLen != 0 && found.BCQueueLen != m.Queued: // kernels before 5.11 have none
		return drift("bcqueuelen of "+a.Name, m.Queued, found.BCQueueLen)
	}
	return nil
}

func macvlanMode(mode netlink.MacvlanMode) string {
	for name, number := range macvlanModes {
		if number.library == mode {
			return name
		}
	}
	return fmt.Sprint(mode)
}
