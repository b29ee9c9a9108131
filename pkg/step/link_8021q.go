package step

import (
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Tagged is a link that is its parent's frames with one VLAN's tag (IEEE 802.1Q).
type Tagged struct{ ID int } // 1 to 4094

func (t Tagged) kind() string { return "vlan" }

func (t Tagged) hangs() bool { return true }

func (t Tagged) ready(host *site.Side) error { return makes(host, t.kind(), "8021q") }

// fits wants a parent that is up, without which the kernel lets none be up. That it is a port is no matter: such a one passes on what is tagged for somebody else.
func (t Tagged) fits(_ *site.Side, parent netlink.Link) error {
	if isUp(parent) {
		return nil
	}
	name := parent.Attrs().Name
	return fault.New(fault.Config, "ip link set "+name+" up", "master: link %s: down, and a VLAN of it comes up only with it", name)
}

func (t Tagged) create(on *site.Side, l rtnl.Link) error {
	l.Kind, l.Data = t.kind(), []*nl.RtAttr{nl.NewRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(uint16(t.ID)))}
	return on.Conn.Send(rtnl.NewLink(l))
}

// explain names who has the VLAN: a parent has one link a VLAN, in whatever namespace that is.
func (t Tagged) explain(s *site.Site, l Lone, err error) error {
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	parent, failed := l.Parent.find(s)
	if failed != nil {
		return err
	}
	return fault.New(fault.Taken, "use another VLAN, or a bridge with the key vlan for several containers on one", "VLAN %d of %s: is %s already",
		t.ID, parent.Attrs().Name, t.holder(s, l, parent))
}

// holder is whose the VLAN is.
func (t Tagged) holder(s *site.Site, l Lone, parent netlink.Link) string {
	for link, whose := range hung(l.Parent.side(s), parent) {
		if v, ok := link.(*netlink.Vlan); ok && v.VlanId == t.ID {
			return whose
		}
	}
	return "somebody's"
}

func (t Tagged) verify(_ *site.Side, link netlink.Link) error {
	if found, ok := link.(*netlink.Vlan); ok && found.VlanId != t.ID {
		return drift("VLAN of "+link.Attrs().Name, t.ID, found.VlanId)
	}
	return nil
}
