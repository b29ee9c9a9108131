package step

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/site"
)

// beside is the first of three priorities of the way where others have theirs: after them.
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
	if is, err := led(h, host, link.Attrs().Index); err != nil || is {
		return false, err
	}
	if err := unlead(at, host, 0); err != nil { // to a link that is gone, where all is dropped
		return false, err
	}
	parent, priority, err := entrance(h, host, true)
	if err != nil {
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

// led says whether what comes in by the host's end is led to the link of that index.
func led(h *netlink.Handle, host netlink.Link, to int) (bool, error) {
	parent, _, err := entrance(h, host, false)
	if err != nil {
		return false, err
	}
	ways, err := leading(h, host, parent, to)
	return len(ways) > 0, err
}

// leading are the filters at the host's end that lead to the link of that index; to one that is gone where the index is 0.
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
			if mirred, is := action.(*netlink.MirredAction); is && mirred.Ifindex == to {
				ways = append(ways, f)
				break
			}
		}
	}
	return ways, nil
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
	if parent == netlink.HANDLE_MIN_INGRESS {
		return unstand(h, host, parent)
	}
	for _, link := range []int{0, to} {
		ways, err := leading(h, host, parent, link)
		if err != nil {
			return err
		}
		if len(ways) > 0 {
			return unenter(h, host, parent)
		}
	}
	return nil
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
