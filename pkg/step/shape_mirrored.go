package step

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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

func (m Mirrored) String() string { return "rate from " + m.IfName }

// Mendable says that what somebody removed is made again by Apply.
func (m Mirrored) Mendable() {}

// MirrorNames are the names of the link: the reference's, which minds no interface, and the one of a further interface of the container.
func MirrorNames(o owner.Owner) []string {
	network, id, ifName, whole := o.Names()
	if !whole {
		return nil
	}
	return []string{mirrorName(network + id), mirrorName(network + id + ifName)}
}

func mirrorName(of string) string {
	sum := sha512.Sum512([]byte(of))
	return "bwp" + hex.EncodeToString(sum[:])[:12]
}

// Guard refuses where a way leads to the link: it was added before. A link alone is what a kill left, and is used.
func (m Mirrored) Guard(_ context.Context, at *site.Site) error {
	if m.Rate == 0 {
		return nil
	}
	host, err := m.hostEnd(at)
	if err != nil {
		return err
	}
	link, err := find(at.Host, m.Name)
	if err != nil || link == nil {
		return err
	}
	h, err := at.Host.Handle()
	if err != nil {
		return err
	}
	parent, _, err := entrance(h, host, false)
	if err != nil {
		return err
	}
	ways, err := leading(h, host, parent, link.Attrs().Index)
	if err == nil && len(ways) > 0 {
		err = m.exists(m.Name)
	}
	return err
}

// Apply makes the link, its queue, and the way to it.
func (m Mirrored) Apply(_ context.Context, at *site.Site) (bool, error) {
	if m.Rate == 0 {
		return false, nil
	}
	host, err := m.hostEnd(at)
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
	link, err := find(at.Host, m.Name)
	if err != nil || link != nil && isUp(link) {
		return link, false, err
	}
	if link == nil {
		err = at.Host.Conn.Send(rtnl.NewIFB(m.Name, m.MAC, host.Attrs().MTU), rtnl.SetAlias(m.Name, m.Owner.Tag(owner.AliasRoom)), rtnl.SetUp(m.Name))
		if err != nil {
			return nil, true, unsupported("ifb", err)
		}
	} else if err := at.Host.Conn.Send(rtnl.SetUp(m.Name)); err != nil {
		return nil, true, err
	}
	link, err = need(at.Host, m.Name)
	return link, true, err
}

// all is the bound without subnets: what is not bound does not come to the link.
func (m Mirrored) all() Shape {
	s := m.Shape
	s.Unshaped, s.Only = nil, nil
	return s
}

// beside is the priority of the way where others have theirs: after them.
const beside = 49000

// entrance returns the parent of the filters at the host's end, and the priority of ours; make says whether it is to be made. With somebody's clsact it is that.
func entrance(h *netlink.Handle, host netlink.Link, make bool) (parent uint32, priority uint16, err error) {
	list, err := h.QdiscList(host)
	if err != nil {
		return 0, 0, err
	}
	for _, q := range list {
		switch q.Type() {
		case "clsact":
			return netlink.HANDLE_MIN_INGRESS, beside, nil
		case "ingress":
			return q.Attrs().Handle, 1, nil
		}
	}
	if !make {
		return 0, 0, nil
	}
	q := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: host.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
	if err := h.QdiscAdd(q); err != nil {
		return 0, 0, unsupported("ingress", err)
	}
	return q.Handle, 1, nil
}

// lead leads to the link what comes in by the host's end, and says whether it was not led.
func (m Mirrored) lead(at *site.Site, host, link netlink.Link) (bool, error) {
	h, err := at.Host.Handle()
	if err != nil {
		return false, err
	}
	parent, priority, err := entrance(h, host, true)
	if err != nil {
		return false, err
	}
	ways, err := leading(h, host, parent, link.Attrs().Index)
	if err != nil || len(ways) > 0 {
		return false, err
	}
	index := host.Attrs().Index
	list := m.apart(index, parent, destination, priority)
	if len(m.Only) == 0 {
		last := priority
		if len(list) > 0 {
			last += 2
		}
		list = append(list, &netlink.U32{FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: parent, Priority: last, Protocol: unix.ETH_P_ALL}})
	}
	for i, f := range list {
		f.ClassId = classHandle
		if i >= len(m.Unshaped) {
			f.RedirIndex = link.Attrs().Index
			f.Actions = []netlink.Action{&netlink.MirredAction{MirredAction: netlink.TCA_EGRESS_REDIR, Ifindex: link.Attrs().Index}} // the reference's second one: nothing comes to it
		}
		if err := h.FilterAdd(f); err != nil {
			return true, unsupported("u32 or mirred", err)
		}
	}
	return true, nil
}

// leading are the filters at the host's end that lead to the link of that index, or to one that is gone.
func leading(h *netlink.Handle, host netlink.Link, parent uint32, to int) (ways []netlink.Filter, err error) {
	if parent == 0 {
		return nil, nil
	}
	list, err := h.FilterList(host, parent)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		u32, is := f.(*netlink.U32)
		if !is {
			continue
		}
		for _, action := range u32.Actions {
			if mirred, is := action.(*netlink.MirredAction); is && (mirred.Ifindex == to || mirred.Ifindex == 0) {
				ways = append(ways, f)
				break
			}
		}
	}
	return ways, nil
}

// Undo removes the way, the queue and the link. A link without a mark is the reference's, which has one a container.
func (m Mirrored) Undo(_ context.Context, at *site.Site) error {
	links, err := m.links(at)
	if err != nil {
		return err
	}
	host, err := m.left(at)
	errs := []error{err}
	if host != nil && len(links) == 0 {
		errs = append(errs, unlead(at, host, 0))
	}
	for _, link := range links {
		if host != nil {
			errs = append(errs, unlead(at, host, link.Attrs().Index))
		}
		errs = append(errs, remove(at.Host, link))
	}
	return fault.Join(errs...)
}

// links are those that are the owner's.
func (m Mirrored) links(at *site.Site) (list []netlink.Link, err error) {
	names := MirrorNames(m.Owner)
	if names == nil {
		return m.marked(at)
	}
	for i, name := range names {
		link, err := find(at.Host, name)
		if err != nil {
			return nil, err
		}
		if link == nil || link.Type() != "ifb" {
			continue
		}
		o, marked := owner.Parse(link.Attrs().Alias)
		if marked && o.ID == m.Owner.ID || !marked && i == 0 {
			list = append(list, link)
		}
	}
	if len(list) == 2 { // the first is another interface's, which the reference made
		list = list[1:]
	}
	return list, nil
}

// marked looks for an owner whose names are not known.
func (m Mirrored) marked(at *site.Site) (list []netlink.Link, err error) {
	links, err := at.Host.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if o, marked := owner.Parse(link.Attrs().Alias); marked && o.ID == m.Owner.ID && link.Type() == "ifb" {
			list = append(list, link)
		}
	}
	return list, nil
}

// unlead removes the ways to the link, and to any that is gone, and, where nothing else is there, what they were in.
func unlead(at *site.Site, host netlink.Link, to int) error {
	h, err := at.Host.Handle()
	if err != nil {
		return err
	}
	parent, _, err := entrance(h, host, false)
	if err != nil || parent == 0 {
		return err
	}
	ways, err := leading(h, host, parent, to)
	if err != nil {
		return err
	}
	if parent != netlink.HANDLE_MIN_INGRESS {
		return unenter(h, host, parent, len(ways) > 0)
	}
	var errs []error
	for _, f := range ways {
		if err := h.FilterDel(f); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// unenter removes the queue of what comes in, with its filters, where ours are there: nobody else has a place in it.
func unenter(h *netlink.Handle, host netlink.Link, parent uint32, ours bool) error {
	if !ours {
		return nil
	}
	q := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: host.Attrs().Index, Handle: parent, Parent: netlink.HANDLE_INGRESS}}
	if err := h.QdiscDel(q); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove ingress: %w", err)
	}
	return nil
}

// Verify wants the link up, its queue, and the way to it.
func (m Mirrored) Verify(_ context.Context, at *site.Site) error {
	if m.Rate == 0 {
		return nil
	}
	host, err := m.hostEnd(at)
	if err != nil {
		return asDrift(err)
	}
	link, err := need(at.Host, m.Name)
	if err != nil {
		return err
	}
	errs := []error{m.all().verify(at, link)}
	if !isUp(link) {
		errs = append(errs, drift("link "+m.Name, "up", "down"))
	}
	h, err := at.Host.Handle()
	if err != nil {
		return err
	}
	parent, _, err := entrance(h, host, false)
	if err == nil {
		var ways []netlink.Filter
		if ways, err = leading(h, host, parent, link.Attrs().Index); err == nil && len(ways) == 0 {
			err = drift("what comes in by "+host.Attrs().Name, "led to "+m.Name, "not led there")
		}
	}
	return fault.Join(append(errs, err)...)
}

// Owners lists whose links of the network are on the host.
func (m Mirrored) Owners(_ context.Context, at *site.Site, network [8]byte) (holders []firewall.Holder, err error) {
	links, err := at.Host.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if o, ok := owner.Parse(link.Attrs().Alias); ok && o.On(network) && link.Type() == "ifb" && strings.HasPrefix(link.Attrs().Name, "bwp") {
			holders = append(holders, firewall.Holder{Owner: o, Linked: true})
		}
	}
	return holders, nil
}
