package host

import (
	"context"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// holdings are the roles in which an owner was seen to hold something.
type holdings struct {
	of    owner.ID
	roles []firewall.Role
}

// RolesOf are the roles in which the owner holds anything, under either backend. It asks once which tables there are, and nothing of those that are not: every ADD asks.
// What it has seen is remembered until something is held or dropped, so that no role is asked about again.
func (f *Filter) RolesOf(ctx context.Context, o owner.Owner) ([]firewall.Role, error) {
	f.seen = holdings{}
	var tables []*nftables.Table
	conn, err := f.nft.Conn()
	if err == nil {
		tables, err = conn.ListTables()
	}
	if err = f.tolerant(ctx, err); err != nil {
		return nil, err
	}
	roles, err := f.iptables.RolesIn(ctx, tables, o)
	for _, r := range firewall.Roles() {
		if err != nil || slices.Contains(roles, r) {
			continue
		}
		var held bool
		if held, err = f.nft.HoldsIn(tables, o, r); held {
			roles = append(roles, r)
		}
	}
	if err != nil {
		return nil, err
	}
	f.seen = holdings{o.ID, roles}
	return roles, nil
}

// Holds says whether the owner holds anything under either backend.
func (f *Filter) Holds(ctx context.Context, o owner.Owner, r firewall.Role) (bool, error) {
	if f.seen.of == o.ID {
		return slices.Contains(f.seen.roles, r), nil
	}
	held, err := f.nft.Holds(ctx, o, r)
	if err = f.tolerant(ctx, err); held || err != nil || r.Frames() {
		return held, err
	}
	return f.iptables.Holds(ctx, o, r)
}

// Holdings are those under both backends.
func (f *Filter) Holdings(ctx context.Context, o owner.Owner, r firewall.Role) ([]firewall.Holder, error) {
	holders, err := f.nft.Holdings(ctx, o, r)
	if err = f.tolerant(ctx, err); err != nil || r.Frames() {
		return holders, err
	}
	more, err := f.iptables.Holdings(ctx, o, r)
	return append(holders, more...), err
}

// Owners lists who holds something under either backend.
func (f *Filter) Owners(ctx context.Context, r firewall.Role, network [8]byte) ([]firewall.Holder, error) {
	holders, err := f.nft.Owners(ctx, r, network)
	if err = f.tolerant(ctx, err); err != nil || r.Frames() {
		return holders, err
	}
	more, err := f.iptables.Owners(ctx, r, network)
	return append(holders, more...), err
}
