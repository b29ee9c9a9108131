package main

import (
	"context"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/upkeep"
)

// another is how long one who watches already is left at it before it is looked again whether he does.
const another = 30 * time.Second

// heal makes again what others sweep away of the packet filter, by what the kernel told before, as `trestle repair --watch` does. The agent may enter no container: what the plugins
// alone can make it names.
func heal(ctx context.Context, l *life.Life) {
	names := append(known.Names(), "trestle-node")
	for ctx.Err() == nil {
		err := upkeep.Run(ctx, upkeep.Options{Run: site.Run, Names: names, Results: cache.Dir, Say: func(line string) { l.Did(line, "part", healing) }})
		if ctx.Err() != nil {
			return
		}
		l.Failed(healing, fault.New(fault.TryLater, "trestle repair makes again what is missing", "heal: %w", err))
		select {
		case <-ctx.Done():
		case <-time.After(another):
		}
	}
}

// healing is what it is called where others see it.
const healing = "heal"
