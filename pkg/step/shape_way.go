package step

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/site"
)

// beside is the first of three priorities of the way where others have theirs: after them.
const beside = 49000

// entrance returns the parent of the filters at the host's end, and the priority of ours; nought where there is none. With somebody's clsact it is that.
func entrance(on *site.Side, host netlink.Link) (parent uint32, priority uint16, err error) {
	there, err := on.Conn.Queue(host.Attrs().Index, netlink.HANDLE_INGRESS)
	switch {
	case err != nil || there == nil:
		return 0, 0, err
	case there.Type() == "clsact":
		return netlink.HANDLE_MIN_INGRESS, beside, nil
	case there.Type() == "ingress":
		return there.Attrs().Handle, 1, nil
	}
	return 0, 0, nil
}

// enter makes the entrance where there is none.
func enter(h *netlink.Handle, host netlink.Link) (parent uint32, priority uint16, err error) {
	q := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: host.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
	if err := h.QdiscAdd(q); err != nil {
		return 0, 0, unsupported("ingress", err)
	}
	return q.Handle, 1, nil
}

// lead leads to the link what comes in by the host's end, and says whether it was not led.
func (m Mirrored) lead(at *site.Site, host, link netlink.Link) (bool, error) {
	on := m.on(at)
	parent, priority, err := entrance(on, host)
	if err == nil && parent != 0 {
		if is, err := ledFrom(on, host, parent, link.Attrs().Index); err != nil || is {
			return false, err
		}
		if err := unlead(on, host, 0); err != nil { // to a link that is gone, where all is dropped
			return false, err
		}
		parent, priority, err = entrance(on, host)
	}
	if err != nil {
		return false, err
	}
	h, err := on.Handle()
	if err != nil {
		return false, err
	}
	if parent == 0 {
		if parent, priority, err = enter(h, host); err != nil {
			return false, err
		}
	}
	for _, f := range m.ways(host.Attrs().Index, link.Attrs().Index, parent, priority) {
		if err := h.FilterAdd(f); err != nil {
			return true, unsupported("u32 or mirred", err)
		}
	}
	return true, nil
}

// ways are the filters at the host's end that lead to the link, after those for what is not to go there.
func (m Mirrored) ways(host, link int, parent uint32, priority uint16) []*netlink.U32 {
	list := m.apart(host, parent, m.theirs(destination, source), priority)
	if len(m.Only) == 0 {
		last := priority
		if len(list) > 0 {
			last += 2
		}
		list = append(list, &netlink.U32{FilterAttrs: netlink.FilterAttrs{LinkIndex: host, Parent: parent, Priority: last, Protocol: unix.ETH_P_ALL}})
	}
	for i, f := range list {
		f.ClassId = classHandle
		if i >= len(m.Unshaped) {
			f.RedirIndex = link
			f.Actions = []netlink.Action{&netlink.MirredAction{MirredAction: netlink.TCA_EGRESS_REDIR, Ifindex: link}} // the reference's second one: nothing comes to it
		}
	}
	return list
}

// led says whether what comes in by the host's end is led to the link of that index.
func led(on *site.Side, host netlink.Link, to int) (bool, error) {
	parent, _, err := entrance(on, host)
	if err != nil || parent == 0 {
		return false, err
	}
	return ledFrom(on, host, parent, to)
}

// ledFrom says whether a filter of the parent leads to a link of one of the indices; 0 is one that is gone.
func ledFrom(on *site.Side, host netlink.Link, parent uint32, to ...int) (bool, error) {
	links, err := on.Conn.Redirects(host.Attrs().Index, parent)
	return slices.ContainsFunc(links, func(link int) bool { return slices.Contains(to, link) }), err
}

// unlead removes the ways to the link, and to any that is gone, and, where nothing else is there, what they were in.
func unlead(on *site.Side, host netlink.Link, to int) error {
	parent, _, err := entrance(on, host)
	if err != nil || parent == 0 {
		return err
	}
	if parent != netlink.HANDLE_MIN_INGRESS {
		if is, err := ledFrom(on, host, parent, 0, to); err != nil || !is {
			return err
		}
	}
	h, err := on.Handle()
	if err != nil {
		return err
	}
	if parent == netlink.HANDLE_MIN_INGRESS {
		return unstand(h, host, parent)
	}
	return unenter(h, host, parent)
}

// unstand removes our filters from where others have theirs: all of our priorities, those too that lead nowhere.
func unstand(h *netlink.Handle, host netlink.Link, parent uint32) error {
	list, err := h.FilterList(host, parent)
	if err != nil {
		return err
	}
	gone := map[netlink.FilterAttrs]bool{}
	for _, f := range list {
		a := f.Attrs()
		if f.Type() != "u32" || a.Priority < beside || a.Priority > beside+2 {
			continue
		}
		all := netlink.FilterAttrs{LinkIndex: a.LinkIndex, Parent: parent, Priority: a.Priority, Protocol: a.Protocol} // without a handle: each of that priority
		if gone[all] {
			continue
		}
		if err := h.FilterDel(&netlink.U32{FilterAttrs: all}); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		gone[all] = true
	}
	return nil
}

// unenter removes the queue of what comes in, with its filters: nobody else has a place in it.
func unenter(h *netlink.Handle, host netlink.Link, parent uint32) error {
	q := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: host.Attrs().Index, Handle: parent, Parent: netlink.HANDLE_INGRESS}}
	if err := h.QdiscDel(q); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove ingress: %w", err)
	}
	return nil
}
