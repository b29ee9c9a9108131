package step

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
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
	Along  bool     // rules that lead to its routes are written down, too
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
	if err != nil {
		return err
	}
	a := link.Attrs()
	if a.Flags&net.FlagLoopback != 0 {
		return fault.New(fault.Config, "name another", "device %s: the loopback, of which each namespace has its own", a.Name)
	}
	if m.Force {
		return nil
	}
	if a.MasterIndex != 0 {
		return fault.New(fault.Config, "take it off, or say force: true", "device %s: a port of %s", a.Name, masterName(s.Host, link))
	}
	links, err := s.Host.Conn.DefaultLinks()
	if err == nil && slices.Contains(links, a.Index) {
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
	was, _, err := m.noted(s)
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
	err = s.Host.Conn.Send(rtnl.Move(link.Attrs().Index, container.NS, m.IfName, now.Name))
	if absentLink(err) { // somebody was quicker, of whom may be written by now
		return false, fault.Join(lent.Remove(m.Owner.ID), m.Device.missing())
	}
	if errors.Is(err, unix.EINVAL) {
		err = fault.New(fault.Config, "name another", "device %s: the kernel keeps it in its namespace: %w", now.Name, err)
	}
	return true, err
}

// noted is what is written down; nothing where that is torn, of which no use can be made.
func (m Moved) noted(s *site.Site) (was *lent.Device, torn bool, err error) {
	was, err = lent.Read(m.Owner.ID)
	if torn = errors.Is(err, lent.ErrTorn); torn {
		s.Logf("%s: goes on without what was before: %v", m, err)
		err = nil
	}
	return was, torn, err
}

// note is what the device is like.
func (m Moved) note(s *site.Site, link netlink.Link) (*lent.Device, error) {
	network, id, ifName, whole := m.Owner.Names()
	if !whole {
		return nil, fmt.Errorf("owner %s: names cut short", m.Owner)
	}
	a := link.Attrs()
	d := &lent.Device{Network: network, ContainerID: id, IfName: ifName, Netns: s.Container.String(), Name: a.Name, Alias: a.Alias, Index: a.Index,
		MAC: a.HardwareAddr.String(), MTU: a.MTU, TxQLen: a.TxQLen, Up: isUp(link) && m.Return != NameOnly,
		Node: node(filepath.Join("/sys/class/net", a.Name, "device")), Promisc: a.RawFlags&unix.IFF_PROMISC != 0, AllMulti: a.RawFlags&unix.IFF_ALLMULTI != 0, Dies: link.Type() != "device"}
	if m.Along {
		var err error
		if d.Rules, err = leading(s.Host, a.Index); err != nil {
			return nil, err
		}
	}
	if m.Return != Addressed {
		return d, nil
	}
	have, err := s.Host.Conn.Given(a.Index)
	for _, addr := range have {
		d.Addrs = append(d.Addrs, addr.Told)
	}
	return d, err
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
	if errors.Is(err, lent.ErrTorn) {
		return drift("device "+m.IfName, "what was before written down", err)
	}
	if err == nil && was != nil && link.Attrs().Alias != was.Name {
		err = drift("alias of "+m.IfName, was.Name, fmt.Sprintf("%q", link.Attrs().Alias))
	}
	return err
}

// Owners lists who has a device of the host's, by what is written down. Whose namespace is gone, and whose device is back, is dead.
func (m Moved) Owners(_ context.Context, s *site.Site, network [8]byte) (holders []firewall.Holder, err error) {
	all, err := lent.All()
	if errors.Is(err, lent.ErrTorn) { // whose that is nobody knows
		s.Logf("left as it is: %v", err)
		err = nil
	}
	for _, d := range all {
		o := d.Owner()
		if !o.On(network) {
			continue
		}
		h := firewall.Holder{Owner: o}
		if link, failed := strayed(s.Host, d); failed == nil && link != nil && !(cache.Entry{Netns: d.Netns}).Lives() {
			h.Linked, h.Device = true, d.Name
		}
		holders = append(holders, h)
	}
	return holders, err
}
