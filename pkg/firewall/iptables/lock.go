package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// Run is the directory of the lock; that of the other locks, package site.
const Run = "/run/cni/trestle"

// lock keeps others of ours out between look and change. It ends with Close, or with the process and the tool that it has at work: that is
// handed the lock, since it goes on where the process was killed, and the next call must not look before it is done.
func (f *Filter) lock(ctx context.Context) (*os.File, error) {
	file, err := filelock.Open(f.lockPath())
	if err != nil {
		return nil, fault.New(fault.Internal, filelock.Remedy(err, f.options.Run+" must be writable"), "lock: %w", err)
	}
	return await(ctx, file)
}

// lockUsed is lock where there ever was one; nil where nobody of ours has changed anything since the host was started.
func (f *Filter) lockUsed(ctx context.Context) (*os.File, error) {
	file, err := os.OpenFile(f.lockPath(), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Internal, filelock.Remedy(err, f.options.Run+" must be writable"), "lock: %w", err)
	}
	return await(ctx, file)
}

func (f *Filter) lockPath() string { return filepath.Join(f.options.Run, "iptables.lock") }

// await returns the file when it is locked, and closes it where that was not to be had.
func await(ctx context.Context, file *os.File) (*os.File, error) {
	path := file.Name()
	err := filelock.Wait(ctx, func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX) }, func() { file.Close() })
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil, fault.New(fault.TryLater, "see who holds it: fuser "+path, "lock %s: held by another process: %w", path, err)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}
