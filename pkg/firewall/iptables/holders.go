package iptables

import (
	"context"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Holds asks for the owner's ledger.
func (f *Filter) Holds(ctx context.Context, o owner.Owner, r firewall.Role) (bool, error) {
	if r.Frames() {
		return f.options.Link.Holds(ctx, o, r)
	}
	k, err := f.look()
	if err != nil {
		return false, err
	}
	defer k.close()
	return k.hasLedger(ctx, ledgerChain(o, r))
}

// RolesIn are the roles of which the owner has a ledger, where it is known which tables nf_tables has. Mostly he has none, which is asked first: the older tables tell it by a program.
func (f *Filter) RolesIn(ctx context.Context, tables []*nftables.Table, o owner.Owner) (roles []firewall.Role, err error) {
	k, err := f.lookBy(func(*nftconn.Conn) ([]*nftables.Table, error) { return tables, nil })
	if err != nil {
		return nil, err
	}
	defer k.close()
	all := slices.DeleteFunc(firewall.Roles(), firewall.Role.Frames)
	chains := make([]string, len(all))
	for i, r := range all {
		chains[i] = ledgerChain(o, r)
	}
	if some, err := k.hasLedger(ctx, chains...); err != nil || !some {
		return nil, err
	}
	for i, r := range all {
		if held, err := k.hasLedger(ctx, chains[i]); err != nil {
			return nil, err
		} else if held {
			roles = append(roles, r)
		}
	}
	return roles, nil
}

// hasLedger says whether one of the chains is there, in any place.
func (k *kernel) hasLedger(ctx context.Context, chains ...string) (bool, error) {
	for _, p := range places() {
		there, err := k.has(ctx, p, "raw", chains...)
		if there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// Owners reads the ledgers of both families and flavours.
func (f *Filter) Owners(ctx context.Context, r firewall.Role, network [8]byte) (holders []firewall.Holder, err error) {
	if r.Frames() {
		return f.options.Link.Owners(ctx, r, network)
	}
	tools, err := f.everywhere(ctx, "raw")
	if err != nil {
		return nil, err
	}
	for _, t := range tools {
		s, err := t.load(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range s.entries {
			known := slices.ContainsFunc(holders, func(h firewall.Holder) bool { return h.ID == e.ID })
			if e.role == r && e.On(network) && !known {
				holders = append(holders, e.Holder)
			}
		}
	}
	return holders, nil
}
