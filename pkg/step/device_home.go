package step

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

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
	addressed(s, link, was)
	err := s.Host.Conn.Send(rtnl.Fit(index, nil, was.MTU, 0), rtnl.SetTxQLen(name, was.TxQLen), rtnl.SetPromisc(name, was.Promisc), rtnl.SetAllMulti(name, was.AllMulti))
	if err != nil {
		return err
	}
	if was.Up {
		if err := s.Host.Conn.Send(rtnl.SetUp(name)); err != nil {
			return err
		}
	}
	for _, told := range was.Addrs {
		if err := s.Host.Conn.Send(rtnl.Again(told, index)); err != nil && !errors.Is(err, unix.EEXIST) { // the host may have no use for it any more, as of one of IPv6
			s.Logf("device %s: an address cannot be given back: %v", name, err)
		}
	}
	return lent.Remove(was.Owner().ID)
}

// addressed gives it its own Ethernet address back, if it may have another: not every driver lets it.
func addressed(s *site.Site, link netlink.Link, was *lent.Device) {
	mac, err := net.ParseMAC(was.MAC)
	if err != nil || bytes.Equal(mac, link.Attrs().HardwareAddr) {
		return
	}
	if err := s.Host.Conn.Send(rtnl.Fit(link.Attrs().Index, mac, 0, 0)); err != nil {
		s.Logf("device %s: keeps the address %s that it was given, and has not its own, %s: %v", was.Name, link.Attrs().HardwareAddr, mac, err)
	}
}

// Undo brings the device home: out of the container, by whatever name it is there, or on the host where the kernel has left it. Where what was written down is
// torn, its alias says its name, as with the reference.
func (m Moved) Undo(_ context.Context, s *site.Site) error {
	was, torn, err := m.noted(s)
	if err == nil && was == nil {
		err = m.undoOther(s)
	}
	if err != nil {
		return err
	}
	if s.Container != nil {
		if err := m.fetch(s, was, torn); err != nil {
			return err
		}
	}
	if torn {
		return lent.Remove(m.Owner.ID)
	}
	if was == nil {
		return nil
	}
	link, err := strayed(s.Host, was)
	if err == nil && link == nil && s.Container == nil {
		link, err = m.called(s, was)
	}
	switch {
	case err != nil:
		return err
	case link != nil:
		return m.restore(s, link, was)
	case s.Container == nil && (!was.Dies || netns.Number(was.Netns) != 0): // whose that path leads to by now proves nothing
		s.Logf("%s: device %s is not on the host; it gets its name and state back when it comes", m, was.Name)
		return nil
	}
	return lent.Remove(m.Owner.ID)
}

// undoOther removes links that bear the owner's mark, as no device does: another plugin made the interface.
func (m Moved) undoOther(s *site.Site) error {
	if err := unjoin(s, m.Owner); err != nil || s.Container == nil {
		return err
	}
	link, err := find(s.Container, m.IfName)
	if err != nil || link == nil || !marked(link, m.Owner) {
		return err
	}
	return remove(s.Container, link)
}

// called brings it home from the namespace that it was moved to, of which this call says nothing. Where that is gone, or another by now, the device is not there.
func (m Moved) called(s *site.Site, was *lent.Device) (netlink.Link, error) {
	if was.Netns == "" {
		return nil, nil
	}
	there, err := site.Open(site.Options{Netns: was.Netns, Logf: s.Logf})
	if err != nil {
		return nil, nil
	}
	defer there.Close()
	if err := m.fetch(there, was, false); err != nil {
		return nil, err
	}
	return strayed(s.Host, was)
}

// strayed returns the device where it is on the host.
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
	return was.Is(a.Name, a.Alias, a.HardwareAddr.String(), a.Index)
}

// fetch moves it out of the container. Without a note of ours the reference took it: its alias is its name, and it is down. Where the note is torn we did, and it stays up.
func (m Moved) fetch(s *site.Site, was *lent.Device, torn bool) error {
	link, name, err := m.seek(s.Container, was)
	if err != nil || link == nil {
		return err
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
	err = s.Container.Conn.Send(rtnl.SetDown(link.Attrs().Name), rtnl.Move(link.Attrs().Index, host, name, alias))
	if err == nil && torn && m.Return != NameOnly && isUp(link) { // what else can be told of it has come along
		err = s.Host.Conn.Send(rtnl.SetUp(name))
	}
	return err
}

// seek finds the device in the container, and the name that it has on the host: by two of its mark, its Ethernet address, and its name or number there, since what hangs
// on it may have one of them, and whoever is in there may change any.
func (m Moved) seek(container *site.Side, was *lent.Device) (netlink.Link, string, error) {
	link, err := find(container, m.IfName)
	if err != nil {
		return nil, "", err
	}
	if was == nil {
		if link == nil {
			return nil, "", nil
		}
		name := link.Attrs().Alias
		if _, ours := owner.Parse(name); ours || name == "" || len(name) >= unix.IFNAMSIZ {
			return nil, "", nil // none of the host's
		}
		return link, name, nil
	}
	all, err := container.LinkList()
	if err != nil {
		return nil, "", err
	}
	if link != nil {
		all = append([]netlink.Link{link}, all...)
	}
	named := func(l netlink.Link) bool { return l.Attrs().Alias == was.Name }
	like := func(l netlink.Link) bool { return l.Attrs().HardwareAddr.String() == was.MAC }
	for _, is := range []func(netlink.Link) bool{
		func(l netlink.Link) bool { return named(l) && like(l) },
		func(l netlink.Link) bool {
			return named(l) && (l.Attrs().Name == m.IfName || l.Attrs().Index == was.Index)
		},
		func(l netlink.Link) bool {
			return like(l) && (l.Attrs().Name == m.IfName || l.Attrs().Index == was.Index)
		},
		func(l netlink.Link) bool { return l.Attrs().Name == m.IfName && l.Attrs().Index == was.Index },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], was.Name, nil
		}
	}
	return nil, "", nil
}
