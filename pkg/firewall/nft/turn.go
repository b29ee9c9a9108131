package nft

import (
	"context"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// hurried is how often a call tries without minding the others. Each attempt that fails means that somebody else succeeded, so that all get done
// somehow; but where dozens try at the same time, all but one of their attempts are in vain, and the more so the busier that makes the machine.
const hurried = 2

// queue waits for one's turn among those of ours that failed too often, and returns what gives the turn to the next. It keeps nobody from trying
// who has not failed yet, and where the turn does not come one goes on without it.
func (f *Filter) queue(ctx context.Context) (leave func()) {
	if f.run == "" {
		return func() {}
	}
	return filelock.Turn(ctx, filepath.Join(f.run, firewall.Turn))
}

// over says why a call is not to try once more: the context has ended.
func over(ctx context.Context) error {
	select {
	case <-ctx.Done(): // to wait for it is what makes a plugin listen to signals
		return ctx.Err()
	default:
		return nil
	}
}
