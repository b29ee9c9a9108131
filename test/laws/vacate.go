package laws

import (
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/step"
	"github.com/trestle-cni/trestle/test/nstest"
)

// vacate is a runtime's part: of an attachment that is not valid it has done away with the container, and with its namespace goes a link that is in it
// alone, to which no GC comes.
func (w *World) vacate(valid []attachment) error {
	lone, err := w.lone()
	if err != nil || !lone {
		return err
	}
	for _, c := range []Container{w.one, w.other} {
		if slices.Contains(valid, attachment{c.ID, ifName}) {
			continue
		}
		if err := nstest.In(c.Netns, unlink); err != nil {
			return err
		}
	}
	return nil
}

// lone says whether the network's interface is a link that has no other end on the host.
func (w *World) lone() (bool, error) {
	w = w.flat()
	if w.kind(call{}).Plan == nil {
		return false, nil
	}
	p, err := w.planned(call{verb: "ADD", of: w.one})
	return err == nil && slices.ContainsFunc(p.Steps, is[step.Lone]), err
}

// unlink removes the links of a namespace.
func unlink() error {
	links, err := netlink.LinkList()
	for _, link := range links {
		if link.Attrs().Name != "lo" && err == nil {
			err = netlink.LinkDel(link)
		}
	}
	return err
}
