package laws

import (
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
	"github.com/trestle-cni/trestle/test/nstest"
)

// vacate is a runtime's part: of an attachment that is not valid it has done away with the container, and with its namespace goes what is in it alone, to
// which no GC comes: a link without another end, and rules.
func (w *World) vacate(valid []attachment) error {
	lone, err := w.makes(is[step.Lone])
	if err != nil {
		return err
	}
	sourced, err := w.makes(is[step.Sourced])
	if err != nil {
		return err
	}
	for _, c := range []Container{w.one, w.other} {
		if slices.Contains(valid, attachment{c.ID, ifName}) {
			continue
		}
		if lone {
			err = nstest.In(c.Netns, unlink)
		}
		if sourced && err == nil {
			err = nstest.In(c.Netns, unrule)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makes says whether any plugin of the network makes such a step.
func (w *World) makes(such func(plan.Step) bool) (bool, error) {
	w = w.flat()
	for member := range w.Plugins {
		if w.kind(call{member: member}).Plan == nil {
			continue
		}
		p, err := w.planned(call{verb: "ADD", member: member, of: w.one})
		if err == nil && slices.ContainsFunc(p.Steps, such) {
			return true, nil
		}
	}
	return false, nil
}

// unrule removes the rules of a namespace that are nobody's but a plugin's: the kernel's three have other priorities.
func unrule() error {
	rules, err := netlink.RuleList(netlink.FAMILY_ALL)
	for _, rule := range rules {
		if own := rule.Priority > 0 && rule.Priority < 32766; own && err == nil {
			err = netlink.RuleDel(&rule)
		}
	}
	return err
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
