package step

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Moved is a container's interface that is a link of the host's, lent. What it was like is written down before it goes; its alias is its name on the host, as
// the reference's plugin wants it, so that either brings back what the other took.
type Moved struct {
	Owner  owner.Owner
	IfName string
	Device Device
	Force  bool     // though others use it
	Return Returned // what of it comes back beside its name
}

// Returned is how much of what a device was like it is again.
type Returned string

// Nothing but the name, and down, as the reference does it; its state, MTU and queue; its addresses, too.
const (
	NameOnly  Returned = "none"
	LinkState Returned = "link"
	Addressed Returned = "addresses"
)

func (m Moved) String() string { return "device " + m.IfName }

// Carries marks what hangs on the link.
func (m Moved) Carries() {}

// Guard refuses when the name is taken, or the device is in use.
func (m Moved) Guard(ctx context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	link, err := find(container, m.IfName)
	if err == nil && link != nil {
		err = inUse(m.IfName)
	}
	if err != nil {
		return err
	}
	return m.Ready(ctx, s)
}

// Ready says whether the device can be had.
func (m Moved) Ready(_ context.Context, s *site.Site) error {
	link, err := m.Device.find(s.Host)
	if err != nil || m.Force {
		return err
	}
	a := link.Attrs()
	if a.MasterIndex != 0 {
		return fault.New(fault.Config, "take it off, or say force: true", "device %s: a port of %s", a.Name, masterName(s.Host, link))
	}
	index, err := s.Host.Conn.DefaultLink()
	if err == nil && index == a.Index {
		err = fault.New(fault.Config, "name another, or say force: true", "device %s: the host's default route leads by it", a.Name)
	}
	return err
}

// Apply writes down what the device is like and moves it, with its name and alias, in one request.
func (m Moved) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	was, err := lent.Read(m.Owner.ID)
	if err != nil {
		return false, err
	}
	if link, err := find(container, m.IfName); err != nil || link != nil {
		if err == nil && was != nil && link.Attrs().Alias == was.Name {
			return false, nil
		}
		return false, fault.Join(err, inUse(m.IfName))
	}
	link, err := m.Device.find(s.Host)
	if err != nil {
		return false, err
	}
	if link, err = m.home(s, link); err != nil {
		return false, err
	}
	now, err := m.note(s, link)
	if err == nil {
		err = now.Write()
	}
	if err != nil {
		return true, err
	}
	return true, s.Host.Conn.Send(rtnl.Move(link.Attrs().Index, container.NS, m.IfName, now.Name))
}

// note is what the device is like.
func (m Moved) note(s *site.Site, link netlink.Link) (*lent.Device, error) {
	network, id, ifName, whole := m.Owner.Names()
	if !whole {
		return nil, fmt.Errorf("owner %s: names cut short", m.Owner)
	}
	a := link.Attrs()
	d := &lent.Device{Network: network, ContainerID: id, IfName: ifName, Name: a.Name, Alias: a.Alias, Index: a.Index, MAC: a.HardwareAddr.String(), MTU: a.MTU, TxQLen: a.TxQLen,
		Up: isUp(link) && m.Return != NameOnly}
	if m.Return != Addressed {
		return d, nil
	}
	have, err := s.Host.Conn.Addrs(a.Index)
	for _, addr := range have {
		if !addr.Addr().IsLinkLocalUnicast() || addr.Addr().Is4() {
			d.Addrs = append(d.Addrs, addr.Prefix)
		}
	}
	return d, err
}

// home gives a device its own name back that the kernel brought home from a namespace that died: its alias says which. What is written down of it holds, whoever
// had it.
func (m Moved) home(s *site.Site, link netlink.Link) (netlink.Link, error) {
	all, err := lent.All()
	if err != nil {
		s.Logf("goes on without: %v", err)
	}
	for _, was := range all {
		if was.Name == link.Attrs().Alias && is(link, was) {
			if err := m.restore(s, link, was); err != nil {
				return nil, err
			}
			return need(s.Host, was.Name)
		}
	}
	if name := link.Attrs().Alias; name != "" && name == m.Device.Name && name != link.Attrs().Name { // the reference had it
		err = s.Host.Conn.Send(rtnl.SetDown(link.Attrs().Name), rtnl.Move(link.Attrs().Index, -1, name, ""))
		if err != nil {
			return nil, err
		}
		return need(s.Host, name)
	}
	return link, nil
}

// restore makes the link on the host what it was, and forgets it.
func (m Moved) restore(s *site.Site, link netlink.Link, was *lent.Device) error {
	index, name := link.Attrs().Index, was.Name
	if link.Attrs().Name != name || link.Attrs().Alias != was.Alias {
		if err := s.Host.Conn.Send(rtnl.SetDown(link.Attrs().Name), rtnl.Move(index, -1, name, was.Alias)); err != nil {
			return fmt.Errorf("name %s: %w", name, err)
		}
	}
	if err := s.Host.Conn.Send(rtnl.Fit(index, nil, was.MTU, 0), rtnl.SetTxQLen(name, was.TxQLen)); err != nil {
		return err
	}
	if was.Up {
		if err := s.Host.Conn.Send(rtnl.SetUp(name)); err != nil {
			return err
		}
	}
	if _, err := addAddrs(s.Host, index, was.Addrs, unix.IFA_F_NODAD, 0); err != nil {
		return err
	}
	return lent.Remove(was.Owner().ID)
}

// Undo brings the device home: out of the container, by whatever name it is there, or on the host where the kernel has left it.
func (m Moved) Undo(_ context.Context, s *site.Site) error {
	was, err := lent.Read(m.Owner.ID)
	if err != nil {
		return err
	}
	if s.Container != nil {
		if err := m.fetch(s, was); err != nil {
			return err
		}
	}
	if was == nil {
		return nil
	}
	link, err := strayed(s.Host, was)
	switch {
	case err != nil:
		return err
	case link != nil:
		return m.restore(s, link, was)
	case s.Container == nil:
		s.Logf("%s: device %s is not on the host; it gets its name and state back when it comes", m, was.Name)
		return nil
	}
	return lent.Remove(m.Owner.ID)
}

// strayed returns the device where it is on the host: under whatever name, with its own as its alias, or as it was when it was written down.
func strayed(host *site.Side, was *lent.Device) (netlink.Link, error) {
	host.Forget()
	if link, err := find(host, was.Name); err != nil || link != nil && is(link, was) {
		return link, err
	}
	links, err := host.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if is(link, was) {
			return link, nil
		}
	}
	return nil, nil
}

func is(link netlink.Link, was *lent.Device) bool {
	a := link.Attrs()
	same := a.HardwareAddr.String() == was.MAC
	return a.Alias == was.Name && (same || a.Index == was.Index) || a.Name == was.Name && same
}

// fetch moves it out of the container. Without a note of ours the reference took it: its alias is its name.
func (m Moved) fetch(s *site.Site, was *lent.Device) error {
	link, err := find(s.Container, m.IfName)
	if err == nil && was != nil && (link == nil || link.Attrs().Alias != was.Name) {
		link, err = s.Container.LinkByIndex(was.Index)
		if absentLink(err) {
			return nil
		}
	}
	if err != nil || link == nil {
		return err
	}
	name := link.Attrs().Alias
	if was != nil && (link.Attrs().HardwareAddr.String() == was.MAC || name == was.Name) {
		name = was.Name
	}
	if _, ours := owner.Parse(name); ours || name == "" || len(name) >= unix.IFNAMSIZ {
		return nil // none of the host's
	}
	if other, err := find(s.Host, name); err != nil || other != nil {
		return fault.Join(err, fault.New(fault.Taken, "rename that link, and delete again", "device %s: the host has another link of that name", name))
	}
	host, err := netns.Home()
	if err != nil {
		return err
	}
	defer unix.Close(host)
	alias := name
	if was == nil {
		alias = ""
	}
	s.Host.Forget()
	return s.Container.Conn.Send(rtnl.SetDown(link.Attrs().Name), rtnl.Move(link.Attrs().Index, host, name, alias))
}

// Verify wants the device in the container, under its name there.
func (m Moved) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	link, err := need(container, m.IfName)
	if err != nil {
		return err
	}
	was, err := lent.Read(m.Owner.ID)
	if err == nil && was != nil && link.Attrs().Alias != was.Name {
		err = drift("alias of "+m.IfName, was.Name, fmt.Sprintf("%q", link.Attrs().Alias))
	}
	return err
}

// Owners lists who has a device of the host's, by what is written down.
func (m Moved) Owners(_ context.Context, _ *site.Site, network [8]byte) (holders []firewall.Holder, err error) {
	all, err := lent.All()
	for _, d := range all {
		if o := d.Owner(); o.On(network) {
			holders = append(holders, firewall.Holder{Owner: o})
		}
	}
	return holders, err
}
