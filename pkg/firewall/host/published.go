package host

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Published lists the owner's ports under both backends.
func (f *Filter) Published(ctx context.Context, o owner.Owner, c firewall.Claim) ([]firewall.Port, error) {
	ports, err := f.nft.Published(ctx, o, c)
	if err = f.tolerant(ctx, err); err != nil {
		return nil, err
	}
	more, err := f.iptables.Published(ctx, o, c)
	return append(ports, more...), err
}
