package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Lock is an advisory lock on a file. It ends with Unlock or with the process, however that ends.
type Lock struct {
	file *os.File
	site *Site
}

// Unlock releases the lock; a second call does nothing.
func (l *Lock) Unlock() { l.file.Close() }

// LockGround locks what the attachments of one bridge share: an ADD holds it shared, from the look at the ground until its port is
// there, so that nobody takes the bridge for unused; whoever changes the ground holds it alone.
func (s *Site) LockGround(ctx context.Context, name string, alone bool) (*Lock, error) {
	file, err := s.lockFile(name + ".lock")
	if err != nil {
		return nil, err
	}
	l := &Lock{file, s}
	return l, l.Change(ctx, alone)
}

// Change makes a shared lock the holder's alone or the other way round. In between the lock may be somebody else's for a moment, so the
// caller must look again at what it protects.
func (l *Lock) Change(ctx context.Context, alone bool) error {
	how := unix.LOCK_SH
	if alone {
		how = unix.LOCK_EX
	}
	return l.take(ctx, func(wait bool) error {
		if wait {
			return unix.Flock(int(l.file.Fd()), how)
		}
		return unix.Flock(int(l.file.Fd()), how|unix.LOCK_NB)
	})
}

// LockOwner locks one attachment for a verb, so that of two ADDs for the same container and interface one finds the other's work, and
// host-local's GC whose addresses are not to go yet. All owners share one file, in which each has a place of its own.
func (s *Site) LockOwner(ctx context.Context, o owner.Owner) (*Lock, error) {
	file, err := s.lockFile(owner.Locks)
	if err != nil {
		return nil, err
	}
	l := &Lock{file, s}
	return l, l.take(ctx, func(wait bool) error { return filelock.Part(file, o.Place(), wait) })
}

// Depart says, to who may be putting swept rules back, that a DEL of the owner begins; Arrive that he is made again. Whoever calls either, or asks, has
// locked him.
func (s *Site) Depart(o owner.Owner) error { return gone.Note(s.directory, o.ID) }

// Arrive takes back what Depart said.
func (s *Site) Arrive(o owner.Owner) { gone.Forget(s.directory, o.ID) }

// Departed says whether a DEL of the owner has begun, as far as anybody watches.
func (s *Site) Departed(o owner.Owner) bool { return gone.Is(s.directory, o.ID) }

func (s *Site) lockFile(name string) (*os.File, error) {
	file, err := filelock.Open(filepath.Join(s.directory, name))
	if err != nil {
		return nil, fault.New(fault.Internal, filelock.Remedy(err, s.directory+" must be writable"), "lock: %w", err)
	}
	return file, nil
}

// take asks for the lock without waiting, which mostly is enough and costs no second thread, then waits for it. An error closes the file. What was
// seen before is forgotten: its last holder may have changed it.
func (l *Lock) take(ctx context.Context, lock func(wait bool) error) error {
	defer l.site.Forget()
	err := lock(false)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EACCES), errors.Is(err, unix.EINTR): // fcntl(2) may say either of the first two
		return l.wait(ctx, func() error { return lock(true) })
	}
	l.Unlock()
	return fmt.Errorf("lock %s: %w", l.file.Name(), err)
}

func (l *Lock) wait(ctx context.Context, lock func() error) error {
	err := filelock.Wait(ctx, lock, l.Unlock)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.New(fault.TryLater, "see who holds it: fuser "+l.file.Name(), "lock %s: held by another process: %w", l.file.Name(), err)
	}
	return fmt.Errorf("lock %s: %w", l.file.Name(), err)
}

// Ready says whether the locks' directory can be used.
func (s *Site) Ready() error {
	file, err := s.lockFile(owner.Locks)
	if err == nil {
		file.Close()
	}
	return err
}

// LockSandbox locks what the interfaces of one container share: the rules and tables of its routing. The lock is on the namespace itself, as the reference's
// is, whatever path it was found by; no file is made for it.
func (s *Site) LockSandbox(ctx context.Context) (*Lock, error) {
	file, err := os.Open(fmt.Sprintf("/proc/thread-self/fd/%d", s.Container.NS))
	if err != nil {
		return nil, fmt.Errorf("lock sandbox %s: %w", s.Container, err)
	}
	l := &Lock{file, s}
	return l, l.Change(ctx, true)
}
