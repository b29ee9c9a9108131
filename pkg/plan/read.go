package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Done is what an Apply created, in order.
type Done []Step

// Apply makes the plan so, downwards, and stops at the first error, which names the step. Done holds what must be undone then.
func (p Plan) Apply(ctx context.Context, s *site.Site) (done Done, err error) {
	release, err := p.applyGround(ctx, s)
	if err != nil {
		return nil, err
	}
	defer release()
	for i, step := range p.Steps {
		if i == p.Mark {
			release()
		}
		created, err := apply(ctx, step, s)
		if created {
			done = append(done, step)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func apply(ctx context.Context, step Step, s *site.Site) (bool, error) {
	if err := ctx.Err(); err != nil { // a SIGTERM between two steps
		return false, fmt.Errorf("%s: not begun: %w", step, err)
	}
	created, err := step.Apply(ctx, s)
	phase.End(ctx, "make", step)
	if err != nil {
		return created, fmt.Errorf("%s: %w", step, err)
	}
	return created, nil
}

// applyGround makes what is shared. In the steady state all of it is there, and a look under a shared lock is enough. The lock is held
// until release, so that the ground stays while its new user is not yet to be seen.
func (p Plan) applyGround(ctx context.Context, s *site.Site) (release func(), err error) {
	if p.Lock == "" {
		return func() {}, p.makeGround(ctx, s)
	}
	lock, err := s.LockGround(ctx, p.Lock, false)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		err := p.verifyGround(ctx, s)
		if err == nil {
			return lock.Unlock, nil
		}
		if tries < maxGround {
			err = lock.Change(ctx, true)
		}
		if err == nil {
			err = p.makeGround(ctx, s)
		}
		if err == nil {
			err = lock.Change(ctx, false)
		}
		if err != nil {
			lock.Unlock()
			return nil, err
		}
	}
}

// maxGround bounds how often an ADD makes the ground anew when somebody takes it away, or changes it, each time.
const maxGround = 5

func (p Plan) verifyGround(ctx context.Context, s *site.Site) error {
	for _, step := range p.Ground {
		if err := step.Verify(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		phase.End(ctx, "look at", step)
	}
	return nil
}

// makeGround makes all of it or, of what was not there, nothing: a bridge without what belongs to it is in the way of whoever comes next.
func (p Plan) makeGround(ctx context.Context, s *site.Site) error {
	var made Done
	for _, step := range p.Ground {
		created, err := apply(ctx, step, s)
		if created {
			made = append(made, step)
		}
		if err != nil {
			return fault.Join(err, made.Undo(context.WithoutCancel(ctx), s))
		}
	}
	return nil
}

// errCarrier is in the error of an Undo that left the container's end of the attachment in place: who reads it knows that the container may still use its address.
var errCarrier = errors.New("the container's interface remains")

// Undo takes back what an Apply created, upwards.
func (d Done) Undo(ctx context.Context, s *site.Site) error {
	return undoBy(ctx, d, s, func(step Step) error {
		if r, ok := As[Restored](step); ok {
			return r.Restore(ctx, s)
		}
		return step.Undo(ctx, s)
	})
}

// Undo makes the plan not so, upwards. It tries every step and joins the errors. The ground stays, but for what is vacated by that.
func (p Plan) Undo(ctx context.Context, s *site.Site) error {
	return fault.Join(undo(ctx, p.Steps, s), p.Vacate(ctx, s))
}

// Vacate undoes what of the ground goes with its last user. Who looked at it before, and comes to use it, holds the lock.
func (p Plan) Vacate(ctx context.Context, s *site.Site) error {
	var errs []error
	for _, step := range p.Ground {
		ground, may := As[Vacated](step)
		if !may {
			continue
		}
		vacant, err := ground.Vacant(ctx, s)
		if vacant && err == nil {
			err = p.alone(ctx, s, func() error { return step.Undo(ctx, s) })
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step, err))
		}
	}
	return fault.Join(errs...)
}

// alone does something under the ground's lock.
func (p Plan) alone(ctx context.Context, s *site.Site, do func() error) error {
	if p.Lock != "" {
		lock, err := s.LockGround(ctx, p.Lock, true)
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	return do()
}

func undo(ctx context.Context, steps []Step, s *site.Site) error {
	return undoBy(ctx, steps, s, func(step Step) error { return step.Undo(ctx, s) })
}

func undoBy(ctx context.Context, steps []Step, s *site.Site, undo func(Step) error) error {
	carried := slices.ContainsFunc(steps, is[Carrier])
	var errs []error
	for _, step := range slices.Backward(steps) {
		if carried && is[Inner](step) {
			continue
		}
		err := undo(step)
		phase.End(ctx, "undo", step)
		switch {
		case err == nil:
		case is[Carrier](step):
			errs = append(errs, fmt.Errorf("%s: %w: %w", step, err, errCarrier))
		default:
			errs = append(errs, fmt.Errorf("%s: %w", step, err))
		}
	}
	return fault.Join(errs...)
}

func is[T any](step Step) bool {
	_, ok := As[T](step)
	return ok
}

// Sweep takes back the ground that nobody uses any more. It is for GC.
func (p Plan) Sweep(ctx context.Context, s *site.Site) error {
	return p.alone(ctx, s, func() error { return undo(ctx, p.Ground, s) })
}

// Repair makes the ground and every Mendable step so again, while what carries the attachment is as it was made: else it is another one's by
// now, or none. What is not so afterwards is listed as by Verify.
func (p Plan) Repair(ctx context.Context, s *site.Site) error {
	if err := p.stands(ctx, s); err != nil {
		return err
	}
	mends := p
	mends.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(step Step) bool { return !is[Mendable](step) })
	mends.Mark = len(mends.Steps)
	made, err := mends.Apply(ctx, s)
	for _, step := range made {
		s.Logf("made again: %s", step)
	}
	if err != nil {
		return err
	}
	return p.Verify(ctx, s)
}

// stands looks at what the attachment hangs on, be it of this plan or of another plugin's.
func (p Plan) stands(ctx context.Context, s *site.Site) error {
	var l look
	for _, f := range p.Footing {
		l.at(f, f.Verify(ctx, s), addAgain)
	}
	carrier := Plan{Steps: slices.DeleteFunc(slices.Clone(p.Steps), func(step Step) bool { return !is[Carrier](step) })}
	return fault.Join(l.verdict(s), carrier.Verify(ctx, s))
}

// Owners lists, once each, the owners that the plan's kinds of steps find on the network.
func (p Plan) Owners(ctx context.Context, s *site.Site, network [8]byte) ([]firewall.Holder, error) {
	found := make(map[owner.ID]int)
	var holders []firewall.Holder
	var errs []error
	for _, step := range p.Steps {
		ledger, ok := As[Ledger](step)
		if !ok {
			continue
		}
		list, err := ledger.Owners(ctx, s, network)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step, err))
		}
		for _, h := range list {
			if at, seen := found[h.ID]; seen {
				holders[at].Linked, holders[at].Device = holders[at].Linked || h.Linked, cmp.Or(holders[at].Device, h.Device)
				continue
			}
			found[h.ID] = len(holders)
			holders = append(holders, h)
		}
	}
	return holders, fault.Join(errs...)
}
