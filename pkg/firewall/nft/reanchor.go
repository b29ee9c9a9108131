package nft

import (
	"context"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Reanchor is Anchor for who hears that others have changed a chain FORWARD, or one of the operator's that it is to ask, whichever configuration names that.
func (f *Filter) Reanchor(ctx context.Context) (created bool, err error) {
	defer f.lock()()
	err = f.amend(ctx, forward(), raze, func() ([]change, error) {
		names, err := f.named()
		if err != nil {
			return nil, err
		}
		chains, err := f.unanchored(append(names, firewall.AdminChain)...)
		created = len(chains) > 0
		return anchors(chains), err
	})
	return created && err == nil, err
}

// Named are the operator's chains that configurations name in place of firewall.AdminChain, as nft writes them: mostly as they are.
func (f *Filter) Named() (names []string, err error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return nil, explain(err)
	}
	names, err = f.named()
	return names, explain(err)
}

func (f *Filter) named() (names []string, err error) {
	t := forward()
	rules, err := f.conn.GetRules(t.Table, &nftables.Chain{Name: guests, Table: t.Table})
	if err != nil && !misses(err) {
		return nil, err
	}
	for _, r := range rules {
		names = append(names, leadsTo(r)...)
	}
	return names, nil
}

// Cut says whether a chain FORWARD drops what it does not know, and whether it does so before, or without, the rules by which package iptables lets containers pass. A
// chain that does not lead to these has none.
func (f *Filter) Cut() (drops, cut bool, err error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return false, false, explain(err)
	}
	chains, err := f.forwards()
	for _, c := range chains {
		jumps := func(to string) int {
			return slices.IndexFunc(c.rules, func(r *nftables.Rule) bool { return slices.Contains(leadsTo(r), to) })
		}
		own, published := jumps(firewall.ForwardChain), jumps(firewall.PublishedChain)
		if !c.drops() || own < 0 {
			continue
		}
		drops = true
		cut = cut || published < 0 || slices.ContainsFunc(c.rules[:max(own, published)], closes)
	}
	return drops, cut, explain(err)
}
