package iptables

import (
	"context"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Unheard returns the owners of rules in iptables-legacy, of which the kernel tells nobody, and says whether others have taken some of what these need.
func (k *Keeper) Unheard(ctx context.Context) (owners []owner.ID, torn bool) {
	there, err := k.filter.lookBy(func(*nftconn.Conn) ([]*nftables.Table, error) { return nil, nil }) // of nf_tables nothing is asked
	if err != nil {
		return nil, false
	}
	for _, f := range families() {
		if !there.hasTable(place{f, legacy}, "raw") {
			continue
		}
		t, err := k.filter.find(ctx, f, legacy)
		if err != nil {
			continue // without a tool nothing here could have made anything
		}
		s, err := t.load(ctx)
		if err != nil {
			continue
		}
		for _, e := range s.entries {
			owners = append(owners, e.ID)
		}
		torn = torn || s.torn(ctx)
	}
	return owners, torn
}

// torn says whether an entry of the ledger lacks its chain, or what leads there.
func (s *state) torn(ctx context.Context) bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool {
		if e.role == firewall.Forward {
			return s.barred(ctx, e)
		}
		n, named := namesOf(e.Owner)
		chain := n.chain(e.role)
		led := e.role != firewall.Publish || s.nat.contains("PREROUTING", localJump) && s.nat.contains("OUTPUT", localJump)
		return named && (len(s.nat.chains[chain]) == 0 || !s.nat.referenced(chain) || !led)
	})
}

// barred says whether what lets the entry's address pass is not there.
func (s *state) barred(ctx context.Context, e entry) bool {
	if s.filter == nil {
		filter, err := s.read(ctx, "filter")
		if err != nil {
			return false
		}
		s.filter = filter
	}
	of := func(rule string) bool { return addressOfRule(rule) == e.addr }
	return !s.filter.referenced(forwardChain) || !slices.ContainsFunc(s.filter.chains[forwardChain], of)
}
