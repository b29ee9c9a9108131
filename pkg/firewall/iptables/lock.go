package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Run is the directory of the lock; that of the other locks, package site.
const Run = "/run/cni/trestle"

// patience is how long the lock is waited for. Each holder needs some tens of milliseconds, and more where there are thousands of rules; hundreds of
// containers may start at once. A runtime that is less patient ends the call itself.
const patience = 10 * time.Minute

// lock keeps others of ours out between look and change. It ends with Close, or with the process.
func (f *Filter) lock(ctx context.Context) (*os.File, error) {
	path := filepath.Join(f.options.Run, "iptables.lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(f.options.Run, 0o755); err == nil {
			file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	if err != nil {
		return nil, fault.New(fault.Internal, f.options.Run+" must be writable", "lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
		}
		done <- err
	}()
	select {
	case err = <-done:
		if err == nil && ctx.Err() == nil {
			return file, nil
		}
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, ctx.Err()))
	case <-ctx.Done():
		go func() { // nobody else waits for one who gave up
			<-done
			file.Close()
		}()
		return nil, fault.New(fault.TryLater, "see who holds it: fuser "+path, "lock %s: held by another process: %w", path, ctx.Err())
	}
}
