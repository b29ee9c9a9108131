package step

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Mirrored is the link to which all that comes from the container is led, and the queue there by which it is slowed down.
type Mirrored struct {
	Shape
	Name string // of the link
	MAC  net.HardwareAddr
}

func (m Mirrored) String() string {
	if m.Inside {
		return "rate to " + m.IfName
	}
	return "rate from " + m.IfName
}

// Mendable says that what somebody removed is made again by Apply.
func (m Mirrored) Mendable() {}

// Guard refuses where a way leads to the link: it was added before. A link alone is what a kill left, and is used.
func (m Mirrored) Guard(_ context.Context, at *site.Site) error {
	if m.Rate == 0 {
		return nil
	}
	host, err := m.end(at)
	if err != nil {
		return err
	}
	link, err := find(m.on(at), m.Name)
	if err != nil || link == nil {
		return err
	}
	is, err := led(m.on(at), host, link.Attrs().Index)
	if is {
		err = m.exists(m.Name)
	}
	return err
}

// Apply makes the link, its queue, and the way to it.
func (m Mirrored) Apply(_ context.Context, at *site.Site) (bool, error) {
	if m.Rate == 0 {
		return false, nil
	}
	host, err := m.end(at)
	if err != nil {
		return false, err
	}
	link, created, err := m.link(at, host)
	if err != nil {
		return created, err
	}
	queued, err := m.all().queue(at, link)
	if err != nil {
		return true, err
	}
	led, err := m.lead(at, host, link)
	return created || queued || led, err
}

// link returns the link, up.
func (m Mirrored) link(at *site.Site, host netlink.Link) (netlink.Link, bool, error) {
	link, err := find(m.on(at), m.Name)
	if err != nil || link != nil && isUp(link) && m.unmarked(link) == nil {
		return link, false, err
	}
	if link == nil {
		err = m.on(at).Conn.Send(rtnl.NewIFB(m.Name, m.MAC, host.Attrs().MTU), rtnl.SetAlias(m.Name, m.Owner.Tag(owner.AliasRoom)), rtnl.SetUp(m.Name))
		if err != nil {
			return nil, true, unsupported("ifb", err)
		}
	} else {
		if m.unmarked(link) != nil {
			err = m.on(at).Conn.Send(rtnl.SetAlias(m.Name, m.Owner.Tag(owner.AliasRoom)))
		}
		if err == nil {
			err = m.on(at).Conn.Send(rtnl.SetUp(m.Name))
		}
		if err != nil {
			return nil, true, err
		}
	}
	link, err = need(m.on(at), m.Name)
	return link, true, err
}

// unmarked is the drift of a link that is ours, by its Ethernet address, and does not say whose. The reference marks none.
func (m Mirrored) unmarked(link netlink.Link) error {
	if marked(link, m.Owner) || link.Attrs().HardwareAddr.String() != MirrorMAC(m.Name).String() {
		return nil
	}
	return drift("alias of "+m.Name, fmt.Sprintf("%q", m.Owner.Tag(owner.AliasRoom)), fmt.Sprintf("%q", link.Attrs().Alias))
}

// all is the bound without subnets: what is not bound does not come to the link.
func (m Mirrored) all() Shape {
	s := m.Shape
	s.Unshaped, s.Only = nil, nil
	return s
}

// Undo removes the way, the queue and the link, on whichever side they are. A link without a mark is the reference's, which has one a container.
func (m Mirrored) Undo(_ context.Context, at *site.Site) error {
	var errs []error
	for _, m.Inside = range both(at) {
		errs = append(errs, m.undo(at))
	}
	return fault.Join(errs...)
}

func (m Mirrored) undo(at *site.Site) error {
	links, err := mirrors(m.on(at), m.Owner, true)
	if err != nil {
		return err
	}
	host, err := m.left(at)
	errs := []error{err}
	if host != nil && len(links) == 0 {
		errs = append(errs, unlead(m.on(at), host, 0))
	}
	for _, link := range links {
		if host != nil {
			errs = append(errs, unlead(m.on(at), host, link.Attrs().Index))
		}
		errs = append(errs, remove(m.on(at), link))
	}
	return fault.Join(errs...)
}

// Verify wants the link up, its queue, and the way to it.
func (m Mirrored) Verify(_ context.Context, at *site.Site) error {
	if m.Rate == 0 {
		return nil
	}
	host, err := m.end(at)
	if err != nil {
		return asDrift(err)
	}
	link, err := need(m.on(at), m.Name)
	if err != nil {
		return err
	}
	errs := []error{m.all().verify(at, link), m.unmarked(link)}
	if !isUp(link) {
		errs = append(errs, drift("link "+m.Name, "up", "down"))
	}
	is, err := led(m.on(at), host, link.Attrs().Index)
	if err == nil && !is {
		err = drift("what comes in by "+host.Attrs().Name, "led to "+m.Name, "not led there")
	}
	return fault.Join(append(errs, err)...)
}

// Owners lists whose links of the network are on the host.
func (m Mirrored) Owners(_ context.Context, at *site.Site, network [8]byte) ([]firewall.Holder, error) {
	return mirrorOwners(at.Host, network)
}
