package agent

import (
	"context"
	"maps"
	"slices"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Define makes the pool what next says, for all hosts.
func Define(ctx context.Context, store Store, next pool.Definition) error {
	reply, err := store.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{protocol.PoolKey()}})
	if err != nil {
		return err
	}
	seen, _ := reply.Of(protocol.PoolKey())
	q, err := protocol.DefineAs(seen, next)
	if err != nil {
		return fault.New(fault.Config, "leave what is there as it is: CIDRs are added at the end", "pool: %w", err)
	}
	done, err := store.Do(ctx, q)
	if err == nil && !done.Committed {
		return fault.New(fault.Taken, "trestle-node list names them: release what is to go; or somebody has changed the pool at this moment: call again",
			"pool: blocks of what it would lose have owners")
	}
	return err
}

// Apart holds that what a pool comes to have is in no other network's: hosts of both would have one address on two containers, and one way for two blocks. Networks that
// are flat may have the same on links of their own.
func Apart(network string, next pool.Definition, all map[string]pool.Definition) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		other := all[name]
		if name == network || next.Shape != pool.Routed || other.Shape != pool.Routed {
			continue
		}
		for _, cidr := range next.CIDRs {
			i := slices.IndexFunc(other.CIDRs, cidr.Overlaps)
			if i >= 0 && !slices.Contains(all[network].CIDRs, cidr) {
				errs = append(errs, fault.New(fault.Config, "choose CIDRs that no other network has; or a prefix of its own, if no host is in both", "pool: %s overlaps %s of network %s", cidr, other.CIDRs[i], name))
			}
		}
	}
	return fault.Join(errs...)
}
