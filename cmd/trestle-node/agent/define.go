package agent

import (
	"context"

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
