// Package plan is the engine: an attachment is a list of things that must exist. ADD makes them exist, downwards; DEL makes them not
// exist, upwards; CHECK looks. They are three readings of one list, so they cannot drift apart.
package plan

import (
	"context"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/site"
)

// A Step is one kind of thing that must exist while an attachment lives, with its values (addresses, routes, ports). It is data and
// never a closure: it prints, compares and draws. Values may be absent, where no result is known: then only Undo is called, and it
// removes all of this kind that the step's owner has.
type Step interface {
	fmt.Stringer
	// Apply makes it so. created says that something was made that Undo must take back if the ADD fails, which may be true beside an error.
	Apply(context.Context, *site.Site) (created bool, err error)
	// Undo makes it not so. Absence is success.
	Undo(context.Context, *site.Site) error
	// Verify returns nil exactly when Apply would change nothing of what the step promises, else a fault with code Drift; an error of any other code
	// says that it could not look.
	Verify(context.Context, *site.Site) error
}

// The following are what a step may be besides. Find them with As.

// Guarded is a step that can tell before anything is touched that its Apply would collide with something.
type Guarded interface {
	Guard(context.Context, *site.Site) error
}

// Ledger is a step whose kind can list the owners that it finds in the kernel for one network.
type Ledger interface {
	Owners(context.Context, *site.Site, [8]byte) ([]firewall.Holder, error)
}

// Readied is a step that can tell whether an Apply of its kind can succeed on this host, in constant time.
type Readied interface {
	Ready(context.Context, *site.Site) error
}

// Mendable is a step that others may sweep away while the attachment lives, and whose Apply may be repeated without disturbing its traffic.
type Mendable interface{ Mendable() }

// Excused is a step that may say, of an attachment that lives, that what Verify misses was never promised: the reference made it.
type Excused interface {
	Excused(context.Context, *site.Site) bool
}

// Carrier is a step whose undoing takes the undoing of every Inner step with it: the link that all the container's addresses and routes
// hang on.
type Carrier interface{ Carries() }

// Inner is a step whose effect is inside what a Carrier carries.
type Inner interface{ Inside() }

// Restored is a step whose Undo takes more than its Apply has made: all that its owner has. An ADD that fails asks for this instead.
type Restored interface {
	// Restore takes back what Apply has made in this call.
	Restore(context.Context, *site.Site) error
}

// Footing is what another plugin of the chain made and the work of this one hangs on. It is looked at, and never made nor undone.
type Footing interface {
	fmt.Stringer
	Verify(context.Context, *site.Site) error
}

// Vacated is ground that goes with its last user, and not with a GC alone.
type Vacated interface {
	// Vacant says whether any of it is in nobody's use but that of the plan's attachment.
	Vacant(context.Context, *site.Site) (bool, error)
}

// As finds T in step or in what it wraps (by a method Unwrap() Step).
func As[T any](step Step) (T, bool) {
	for step != nil {
		if t, ok := step.(T); ok {
			return t, true
		}
		wrapper, ok := step.(interface{ Unwrap() Step })
		if !ok {
			break
		}
		step = wrapper.Unwrap()
	}
	var none T
	return none, false
}

// Plan is the list. Which kinds of steps are in it follows from the configuration alone.
type Plan struct {
	Lock   string // names the lock of the ground, usually the bridge; empty: the ground needs none
	Ground []Step // shared by attachments; made when missing, never undone by a DEL or a failed ADD, swept by GC
	Steps  []Step // owned by this attachment
	Mark   int    // Steps[:Mark] need no result of an IPAM plugin; with them done the ground is in use
	Result *types100.Result

	Footing []Footing // what a repair wants to find as it was, beside the Carriers among Steps
}

// Links returns the part of the plan that needs no result: the ground and the steps before the mark. Applying the whole plan later
// finds that part done.
func (p Plan) Links() Plan {
	p.Steps = p.Steps[:p.Mark]
	return p
}

// all returns ground and steps in their order.
func (p Plan) all() []Step { return append(p.Ground[:len(p.Ground):len(p.Ground)], p.Steps...) }

// Guard asks every step whether its Apply would collide with something, and returns the first that says so. Nothing is touched.
func (p Plan) Guard(ctx context.Context, s *site.Site) error {
	for _, step := range p.all() {
		if g, ok := As[Guarded](step); ok {
			if err := g.Guard(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
		}
	}
	return nil
}

// Ready asks every step whether an ADD can succeed now, and returns the first that says no.
func (p Plan) Ready(ctx context.Context, s *site.Site) error {
	for _, step := range p.all() {
		if r, ok := As[Readied](step); ok {
			if err := r.Ready(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
		}
	}
	return nil
}
