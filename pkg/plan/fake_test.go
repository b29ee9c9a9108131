package plan

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/site"
)

// world is what the steps of a test make: a set of names, and a diary of what was asked of them.
type world struct {
	there map[string]bool
	diary []string
}

func newWorld() *world { return &world{there: make(map[string]bool)} }

func (w *world) note(format string, args ...any) {
	w.diary = append(w.diary, fmt.Sprintf(format, args...))
}

// thing is a step that makes one name exist in its world.
type thing struct {
	*world
	name               string
	apply, undo, guard error  // what goes wrong
	look               error  // Verify cannot look, or says so
	half               bool   // apply makes the thing although it fails
	during             func() // called by Apply
	owners             []firewall.Holder
}

func (x thing) String() string { return x.name }

func (x thing) Apply(context.Context, *site.Site) (bool, error) {
	x.note("apply %s", x.name)
	if x.during != nil {
		x.during()
	}
	created := !x.there[x.name] && (x.apply == nil || x.half)
	if created {
		x.there[x.name] = true
	}
	return created, x.apply
}

func (x thing) Undo(context.Context, *site.Site) error {
	x.note("undo %s", x.name)
	if x.undo == nil {
		delete(x.there, x.name)
	}
	return x.undo
}

func (x thing) Verify(context.Context, *site.Site) error {
	if x.look != nil {
		return x.look
	}
	if !x.there[x.name] {
		return fault.New(fault.Drift, "", "not there")
	}
	return nil
}

func (x thing) Guard(context.Context, *site.Site) error { return x.guard }
func (x thing) Ready(context.Context, *site.Site) error { return x.guard }

func (x thing) Owners(context.Context, *site.Site, [8]byte) ([]firewall.Holder, error) {
	return x.owners, x.undo
}

// carrier and inner are things of which one takes the other with it.
type (
	carrier struct{ thing }
	inner   struct{ thing }
)

func (carrier) Carries() {}
func (inner) Inside()    {}

// wrapped hides a step's extra methods behind Unwrap, as a wrapper of the tests of whole plugins does.
type wrapped struct{ Step }

func (w wrapped) Unwrap() Step { return w.Step }

var errBroken = errors.New("broken")

// openSite opens a site with locks of its own.
func openSite(t testing.TB, dir string) *site.Site {
	t.Helper()
	s, err := site.Open(site.Options{Run: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// mendable may be swept away by others.
type mendable struct{ thing }

func (mendable) Mendable() {}
