package step

import (
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Tagged is a link that is its parent's frames with one VLAN's tag (IEEE 802.1Q).
type Tagged struct{ ID int } // 1 to 4094

func (t Tagged) kind() string { return "vlan" }

func (t Tagged) hangs() bool { return true }

func (t Tagged) ready(host *site.Side) error { return makes(host, t.kind(), "8021q") }

func (t Tagged) fits(*site.Side, netlink.Link) error { return nil } // a port passes on what is tagged for somebody else

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
		t.ID, parent.Attrs().Name, t.holder(s, parent))
}

// holder looks on the host and in the namespaces that runtimes remember.
func (t Tagged) holder(s *site.Site, parent netlink.Link) string {
	is := func(link netlink.Link) bool {
		v, ok := link.(*netlink.Vlan)
		return ok && v.VlanId == t.ID && v.ParentIndex == parent.Attrs().Index
	}
	links, _ := s.Host.LinkList() // what cannot be looked at is not named
	for _, link := range links {
		if is(link) {
			return "link " + link.Attrs().Name + " of the host"
		}
	}
	entries, _ := cache.Read(cache.Dir)
	for _, e := range entries {
		if !e.Lives() {
			continue
		}
		other, err := site.Open(site.Options{Netns: e.Netns})
		if err != nil {
			continue
		}
		link, err := other.Container.LinkByName(e.IfName)
		other.Close()
		if err == nil && is(link) {
			return "attachment " + e.Network + "/" + e.ContainerID + "/" + e.IfName
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
