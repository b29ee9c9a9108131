// Package filelock opens lock files and waits for advisory locks: flock(2), and the open file description locks of fcntl(2).
package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is how long is waited for a lock where the context names no end. What is done under one takes milliseconds.
const Patience = time.Minute

// Open opens a lock file, and makes it and its directory. It follows no link at its end, and waits for nobody at the other end of a pipe.
func Open(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		}
	}
	return file, err
}

// Remedy is what is to be done where a lock file, or another that is ours, cannot be opened: something else is in its place, or what the caller says.
func Remedy(err error, otherwise string) string {
	for _, other := range []error{unix.ELOOP, unix.EISDIR, unix.ENXIO} { // a link, a folder, a socket
		if errors.Is(err, other) {
			return "remove it: a plain file is to be there, and is made"
		}
	}
	return otherwise
}

// Wait calls a lock call that blocks, on a thread of its own. Where ctx ends first the error is ctx's, and that thread is left to itself. With an error
// release is called, once: at once, or when the thread that was left has what it waited for, because nobody waits for one who gave up.
func Wait(ctx context.Context, lock func() error, release func()) error {
	ctx, stop := bounded(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		err := lock()
		for errors.Is(err, unix.EINTR) {
			err = lock()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			release()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-done
			release()
		}()
		return ctx.Err()
	}
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ends := ctx.Deadline(); ends {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, Patience)
}

// Turn waits for one's turn among those who queue at the file, and returns what gives the turn to the next. Its holder may be stopped: where the
// turn does not come in half of the time that is left, or the file is not to be had, one goes on without it.
func Turn(ctx context.Context, path string) (leave func()) {
	nobody := func() {}
	file, err := Open(path)
	if err != nil {
		return nobody
	}
	leave = func() { file.Close() }
	fd := int(file.Fd())
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
		return leave
	}
	left := Patience
	if at, ends := ctx.Deadline(); ends {
		left = time.Until(at)
	}
	ctx, stop := context.WithTimeout(ctx, left/2)
	defer stop()
	if Wait(ctx, func() error { return unix.Flock(fd, unix.LOCK_EX) }, leave) != nil {
		return nobody
	}
	return leave
}
