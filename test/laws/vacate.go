package laws

import (
	"errors"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
	"github.com/trestle-cni/trestle/test/nstest"
)

// within says whether what the step makes is in the container's namespace alone, and ends with it: no GC looks for it, nor need it.
func within(s plan.Step) bool {
	mirror, leads := plan.As[step.Mirrored](s)
	shim, ways := plan.As[step.Shim](s)
	return is[step.Lone](s) || is[step.Sourced](s) || leads && mirror.Inside || ways && !shim.Wanted
}

// vacate is a runtime's part: of an attachment that is not valid it has done away with the container, and with its namespace goes what is within that alone:
// links without another end, and rules.
func (w *World) vacate(valid []attachment) error {
	if some, err := w.makes(within); err != nil || !some {
		return err
	}
	for _, c := range []Container{w.one, w.other} {
		if slices.Contains(valid, attachment{c.ID, ifName}) {
			continue
		}
		if err := nstest.In(c.Netns, func() error { return errors.Join(unlink(), unrule()) }); err != nil {
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

// unlink removes the links of a namespace that have no other end: one end of a pair is the host's, too, and a GC's work.
func unlink() error {
	links, err := netlink.LinkList()
	for _, link := range links {
		if link.Attrs().Name != "lo" && !rtnl.Paired(link) && err == nil {
			err = netlink.LinkDel(link)
		}
	}
	return err
}
