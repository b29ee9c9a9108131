package iptables

import (
	"context"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/xtables"
)

// anchorRule accepts what has our mark (see firewall.PassMark). In ip_tables it takes the tool, once: whether it is there is read without one.
func anchorRule() string {
	return fmt.Sprintf(`-m mark --mark %#x/%#x -m comment --comment "%s" -j ACCEPT`, firewall.PassMark, firewall.PassMark, firewall.Anchor)
}

// legacyChain is the chain FORWARD of one family of ip_tables.
type legacyChain struct {
	family
	xtables.Chain
}

// legacyForwards reads the chains that there are.
func (f *Filter) legacyForwards() (list []legacyChain, err error) {
	k, err := f.look()
	if err != nil {
		return nil, err
	}
	defer k.close()
	for _, in := range families() {
		if !k.hasTable(place{in, legacy}, "filter") {
			continue
		}
		chain, err := xtables.Forward(in.is4)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in.program, err)
		}
		list = append(list, legacyChain{in, chain})
	}
	return list, nil
}

// open says whether the operator's chains, if there are any, are asked, and what has our mark passes then.
func (c legacyChain) open(admins ...string) bool {
	at := slices.IndexFunc(c.Rules, func(r xtables.Rule) bool { return r.Comment == firewall.Anchor })
	if at < 0 {
		return !c.Drops && len(c.Rules) == 0 && len(c.admins(admins...)) == 0
	}
	return !slices.ContainsFunc(c.Rules[:at], func(r xtables.Rule) bool {
		return r.Matches == 0 && (r.Target == "" && r.Verdict == -1 || r.Target == "REJECT")
	}) && !slices.ContainsFunc(c.admins(admins...), func(name string) bool { return !slices.Contains(c.asks(at), name) })
}

// admins are the operator's chains that are to be asked: those that are, and those of the names that there are.
func (c legacyChain) admins(named ...string) []string {
	names := c.asks(len(c.Rules))
	for _, admin := range named {
		if slices.Contains(c.Others, admin) && !slices.Contains(names, admin) {
			names = append(names, admin)
		}
	}
	return names
}

// asks are the operator's chains that rules of ours lead to, before the one at that place.
func (c legacyChain) asks(before int) (names []string) {
	for _, r := range c.Rules[:before] {
		if r.Comment == firewall.AnchorAdmin {
			names = append(names, r.Jump)
		}
	}
	return names
}

// anchors are the lines that make it open.
func (c legacyChain) anchors(admins ...string) []string {
	list := append(c.without(), "-I FORWARD 1 "+anchorRule())
	for _, name := range c.admins(admins...) {
		list = append(list, "-I FORWARD 1 "+askRule(name))
	}
	return list
}

// askRule has the operator's chain asked.
func askRule(admin string) string {
	return fmt.Sprintf(`-m comment --comment "%s" -j %s`, firewall.AnchorAdmin, admin)
}

// Anchor lets what has our mark pass the chains FORWARD of iptables-legacy that may drop it. What is made anew asks the operator's chains that others name, too.
func (f *Filter) Anchor(ctx context.Context, admin string, others func() ([]string, error)) (created bool, err error) {
	chains, err := f.legacyForwards()
	if err != nil || len(chains) == 0 {
		return false, err
	}
	lock, err := f.lock(ctx) // against who takes it away, since he thinks that he was the last
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if chains, err = f.legacyForwards(); err != nil {
		return false, err
	}
	for _, c := range chains {
		if c.open(admin) {
			continue
		}
		names, err := others()
		if err != nil {
			return created, err
		}
		t, err := f.find(ctx, c.family, legacy)
		if err != nil {
			return created, fault.New(fault.Unsupported, "install iptables, or let the policy of FORWARD be ACCEPT",
				"%s-legacy: chain FORWARD drops, and without the program it cannot be opened: %w", c.program, err)
		}
		if err := t.write(ctx, lock, lines{"filter", c.anchors(append(names, admin)...)}); err != nil {
			return created, err
		}
		created = true
	}
	return created, nil
}

// without is what removes the anchors that are there.
func (c legacyChain) without() (list []string) {
	for _, r := range c.Rules {
		switch r.Comment {
		case firewall.Anchor:
			list = append(list, "-D FORWARD "+anchorRule())
		case firewall.AnchorAdmin:
			list = append(list, "-D FORWARD "+askRule(r.Jump))
		}
	}
	return list
}

// Anchored compares what Anchor would make with what is there.
func (f *Filter) Anchored(admin string) (drift []string, err error) {
	chains, err := f.legacyForwards()
	for _, c := range chains {
		if !c.open(admin) {
			drift = append(drift, firewall.Unanchored(c.program+"-legacy: chain FORWARD", c.admins(admin)))
		}
	}
	return drift, err
}

// Weigh removes the anchors of iptables-legacy, if nobody claims to pass.
func (f *Filter) Weigh(ctx context.Context, nobody func() (bool, error)) error {
	chains, err := f.legacyForwards()
	if err != nil || !slices.ContainsFunc(chains, func(c legacyChain) bool { return len(c.without()) > 0 }) {
		return err
	}
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if last, err := nobody(); err != nil || !last {
		return err
	}
	for _, c := range chains {
		t, err := f.find(ctx, c.family, legacy)
		if err != nil || len(c.without()) == 0 {
			continue // without a tool nothing here could have made one
		}
		if err := t.write(ctx, lock, lines{"filter", c.without()}); err != nil {
			return err
		}
	}
	return nil
}
