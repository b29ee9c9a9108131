package host

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

var _ firewall.Isolator = (*Filter)(nil)

// isolator is the chosen backend's.
func (f *Filter) isolator(ctx context.Context) firewall.Isolator {
	if f.choose(ctx) == firewall.Filter(f.nft) {
		return f.nft
	}
	return f.iptables
}

// Isolate is the chosen backend's.
func (f *Filter) Isolate(ctx context.Context, link string, in firewall.Ingress) (bool, error) {
	return f.isolator(ctx).Isolate(ctx, link, in)
}

// Isolated is the chosen backend's.
func (f *Filter) Isolated(ctx context.Context, link string, in firewall.Ingress) error {
	return f.isolator(ctx).Isolated(ctx, link, in)
}

// Rejoin is both backends'.
func (f *Filter) Rejoin(ctx context.Context, used func(string) bool) error {
	return fault.Join(f.tolerant(ctx, f.nft.Rejoin(ctx, used)), f.iptables.Rejoin(ctx, used))
}
