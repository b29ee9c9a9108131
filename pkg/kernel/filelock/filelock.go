// Package filelock waits for advisory locks: flock(2), and the open file description locks of fcntl(2).
package filelock

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// Wait calls a lock call that blocks, on a thread of its own. Where ctx ends first the error is ctx's, and that thread is left to itself. With an error
// release is called, once: at once, or when the thread that was left has what it waited for, because nobody waits for one who gave up.
func Wait(ctx context.Context, lock func() error, release func()) error {
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
