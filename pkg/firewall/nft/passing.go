package nft

import (
	"context"
	"net/netip"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Passing lists the owner's addresses whose traffic passes. Those that the claim has, or tells of, are asked for by key: where they are all, nobody else's are read.
func (f *Filter) Passing(ctx context.Context, o owner.Owner, c firewall.Claim) (addrs []netip.Addr, err error) {
	w, err := parse(o, firewall.Claim{Role: firewall.Forward, Pass: slices.Concat(c.Pass, c.Told)})
	if err != nil { // what is wrong with the claim keeps nothing that was made
		if w, err = begin(o, firewall.Forward); err != nil {
			return nil, err
		}
	}
	defer f.lock()()
	if _, none, err := f.glance(w); err != nil || none {
		return nil, explain(err)
	}
	err = f.steady(ctx, func() (sure bool, err error) {
		held, err := f.held(w)
		addrs = nil
		for _, e := range held {
			if a, ok := netip.AddrFromSlice(e.Key); ok && slices.Contains(w.sets, e.set.Name) {
				addrs = append(addrs, a)
			}
		}
		return false, err
	})
	return addrs, err
}

// NonePasses says that neither we nor iptables-nft have a table by which anything could pass, at the price of one request.
func (f *Filter) NonePasses() (bool, error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return false, explain(err)
	}
	tables, err := f.conn.Tables()
	pass := func(t *nftables.Table) bool { return forward().is(t) || t.Name == "filter" }
	return err == nil && !slices.ContainsFunc(tables, pass), explain(err)
}
