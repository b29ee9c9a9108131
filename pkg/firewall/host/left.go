package host

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Restore is the chosen backend's. Of frames it is nft's.
func (f *Filter) Restore(ctx context.Context, o owner.Owner, r firewall.Role) (bool, error) {
	if f.choose(ctx) == firewall.Filter(f.nft) || r.Frames() {
		return f.nft.Restore(ctx, o, r)
	}
	return f.iptables.Restore(ctx, o, r)
}

// Relics are nft's. The chains that ours have under iptables have the reference's names, and a DEL of its removes them.
func (f *Filter) Relics(ctx context.Context, r firewall.Role, network [8]byte) ([]firewall.Holder, error) {
	holders, err := f.nft.Owners(ctx, r, network)
	return holders, f.tolerant(ctx, err)
}

// Shed drops what the owner has under nft.
func (f *Filter) Shed(ctx context.Context, o owner.Owner, r firewall.Role) error {
	return f.tolerant(ctx, f.nft.Drop(ctx, o, firewall.Claim{Role: r}))
}
