package laws

import (
	"errors"
	"fmt"

	"github.com/trestle-cni/trestle/test/snapshot"
)

// Restore is law 1: ADD then DEL restores the snapshot taken after the ground was made. In between, a GC that counts the attachment as
// valid changes nothing, and STATUS agrees that an ADD can succeed.
func Restore(w *World) error {
	if err := errors.Join(w.status(), w.prime()); err != nil {
		return err
	}
	before := w.snapshot()
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	during := w.snapshot()
	if during == before {
		return errors.New("ADD: changed nothing")
	}
	if w.Speaks("GC") {
		if err := w.gc(attachment{w.one.ID, ifName}); err != nil {
			return err
		}
		if err := w.same(during, "GC with the attachment valid"); err != nil {
			return err
		}
	}
	if err := w.del(w.inProcess, call{of: w.one, prev: result}); err != nil {
		return err
	}
	return errors.Join(w.same(before, "ADD and DEL"), w.status())
}

func (w *World) status() error {
	if !w.Speaks("STATUS") {
		return nil
	}
	return w.all(w.inProcess, call{verb: "STATUS"})
}

// Bare is law 5: a DEL with no namespace, no prevResult and no runtimeConfig still empties the host's side. Of a plugin that has nothing
// there it wants no more than success.
func Bare(w *World) error {
	books, err := w.keepBooks()
	if err != nil {
		return err
	}
	if err := w.prime(); err != nil {
		return err
	}
	before := snapshot.Take(w)
	if _, err := w.add(w.inProcess, w.one); err != nil {
		return err
	}
	if books && snapshot.Take(w) == before {
		return errors.New("ADD: changed nothing on the host's side")
	}
	if err := w.del(w.inProcess, call{of: w.one, bare: true}); err != nil {
		return err
	}
	if diff := snapshot.Diff(before, snapshot.Take(w)); diff != "" {
		return fmt.Errorf("bare DEL: the host is not as it was:\n%s", diff)
	}
	return nil
}
