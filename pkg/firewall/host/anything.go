package host

import (
	"context"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// HoldsAnything says whether the owner holds anything in any role, under either backend. It asks once which tables there are, and nothing of those that are
// not: every ADD asks.
func (f *Filter) HoldsAnything(ctx context.Context, o owner.Owner) (bool, error) {
	var tables []*nftables.Table
	conn, err := f.nft.Conn()
	if err == nil {
		tables, err = conn.ListTables()
	}
	if err = f.tolerant(ctx, err); err != nil {
		return false, err
	}
	for _, r := range firewall.Roles() {
		if held, err := f.nft.HoldsIn(tables, o, r); held || err != nil {
			return held, err
		}
	}
	return f.iptables.HoldsIn(ctx, tables, o)
}
