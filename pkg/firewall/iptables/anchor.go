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

// open says whether the chain lets pass what has our mark.
func (c legacyChain) open() bool {
	at := slices.IndexFunc(c.Rules, isAnchor)
	if at < 0 {
		return !c.Drops && len(c.Rules) == 0
	}
	return !slices.ContainsFunc(c.Rules[:at], func(r xtables.Rule) bool {
		return r.Matches == 0 && (r.Target == "" && r.Verdict == -1 || r.Target == "REJECT")
	})
}

func isAnchor(r xtables.Rule) bool { return r.Comment == firewall.Anchor }

// Anchor lets what has our mark pass the chains FORWARD of iptables-legacy that may drop it.
func (f *Filter) Anchor(ctx context.Context) (created bool, err error) {
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
		if c.open() {
			continue
		}
		t, err := f.find(ctx, c.family, legacy)
		if err != nil {
			return created, fault.New(fault.Unsupported, "install iptables, or let the policy of FORWARD be ACCEPT",
				"%s-legacy: chain FORWARD drops, and without the program it cannot be opened: %w", c.program, err)
		}
		if err := t.write(ctx, lock, lines{"filter", append(c.without(), "-I FORWARD 1 "+anchorRule())}); err != nil {
			return created, err
		}
		created = true
	}
	return created, nil
}

// without is what removes the anchors that are there.
func (c legacyChain) without() (list []string) {
	for _, r := range c.Rules {
		if isAnchor(r) {
			list = append(list, "-D FORWARD "+anchorRule())
		}
	}
	return list
}

// Anchored compares what Anchor would make with what is there.
func (f *Filter) Anchored(context.Context) (drift []string, err error) {
	chains, err := f.legacyForwards()
	for _, c := range chains {
		if !c.open() {
			drift = append(drift, fmt.Sprintf("%s-legacy: chain FORWARD: expected the rule %q before all that drops, found none", c.program, firewall.Anchor))
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
