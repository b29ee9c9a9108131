package nft

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// patience bounds the attempts of one call when its context has no deadline.
const patience = 30 * time.Second

// hurried is how often a call tries without minding the others. Each attempt that fails means that somebody else succeeded, so that all get done
// somehow; but where dozens try at the same time, all but one of their attempts are in vain, and the more so the busier that makes the machine.
const hurried = 2

// queue waits for one's turn among those of ours that failed too often, and returns what gives the turn to the next. It keeps nobody from trying
// who has not failed yet, and where the turn does not come one goes on without it.
func (f *Filter) queue(ctx context.Context) (leave func()) {
	nobody := func() {}
	if f.run == "" {
		return nobody
	}
	file, err := os.OpenFile(filepath.Join(f.run, "nftables.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nobody
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	leave = func() { file.Close() }
	if filelock.Wait(ctx, func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX) }, leave) != nil {
		return nobody
	}
	return leave
}

// over says why a call that began then is not to try once more: the context has ended, or, where it names no deadline, the default one is past.
func over(ctx context.Context, began time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	if _, ok := ctx.Deadline(); !ok && time.Since(began) > patience {
		return context.DeadlineExceeded
	}
	return nil
}
