package laws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Drift is law 3: after an ADD, CHECK is silent; after a single step is undone, CHECK names at least that step. A step whose undoing
// leaves no trace (forwarding stays on) has nothing to be named for.
func Drift(w *World) error {
	if !w.Speaks("CHECK") {
		return nil
	}
	if err := w.prime(); err != nil {
		return err
	}
	before := w.snapshot()
	if err := w.silent(); err != nil {
		return err
	}
	for flat, member := w.flat(), 0; member < len(flat.Plugins); member++ {
		if flat.kind(call{member: member}).gives() {
			continue
		}
		p, err := flat.planned(call{verb: "ADD", member: member, of: w.one})
		if err != nil {
			return err
		}
		for i := range steps(p) {
			if err := w.driftAt(flat, member, i); err != nil {
				return err
			}
		}
	}
	return w.same(before, "drifts and DEL")
}

// silent adds the container, wants CHECK to say and to change nothing, and deletes the container.
func (w *World) silent() error {
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	during := w.snapshot()
	if err := w.all(w.inProcess, call{verb: "CHECK", of: w.one, prev: result}); err != nil {
		return fmt.Errorf("after ADD: %w", err)
	}
	if err := w.same(during, "CHECK"); err != nil {
		return err
	}
	return w.del(w.inProcess, call{of: w.one, prev: result})
}

// driftAt adds the container, undoes the step of the flat chain's member, looks whether CHECK notices, and deletes the container.
func (w *World) driftAt(flat *World, member, index int) error {
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	during := w.snapshot()
	name, err := flat.undo(call{verb: "DEL", member: member, of: w.one, prev: result}, index)
	if err != nil {
		return fmt.Errorf("undo of %s: %w", name, err)
	}
	if w.same(during, "") != nil {
		_, err := w.inProcess(call{verb: "CHECK", member: w.outer(member), of: w.one, prev: result})
		if err == nil || !strings.Contains(err.Error(), name) {
			return fmt.Errorf("%s: undone, and CHECK says: %v", name, err)
		}
	}
	return w.del(w.inProcess, call{of: w.one, prev: result})
}

// undo is a DEL of one step alone, without the IPAM plugin. It returns the step's name.
func (w *World) undo(del call, index int) (name string, err error) {
	only := func(p plan.Plan) plan.Plan {
		p.Steps, p.Ground, p.Mark = steps(p)[index:index+1], nil, 0
		name = p.Steps[0].String()
		return p
	}
	_, err = w.run(del, w.kind(del).Alone(then(w.Plant, only)))
	return name, err
}

// Twice is law 4: applying twice creates nothing the second time; a second ADD is an error, unless it is of something that has no
// holder (a link that is up), and changes nothing; DEL twice succeeds twice.
func Twice(w *World) error {
	if err := w.doubled(); err != nil { // on a host without ground, so that the ground's steps are applied, too
		return err
	}
	before := w.snapshot()
	var result []byte
	for member := range w.Plugins {
		add := call{verb: "ADD", member: member, of: w.one, prev: result}
		empty := w.snapshot()
		var err error
		if result, err = w.inProcess(add); err != nil {
			return err
		}
		during := w.snapshot()
		if during == empty {
			continue // it was asked for nothing
		}
		if err := w.refusedTwice(add); err != nil {
			return err
		}
		if err := w.same(during, "second ADD"); err != nil {
			return err
		}
	}
	for range 2 {
		if err := w.del(w.inProcess, call{of: w.one, prev: result}); err != nil {
			return err
		}
		if err := w.same(before, "DEL"); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) refusedTwice(add call) error {
	books, err := w.keepsBooks(add)
	if err != nil {
		return err
	}
	if p, err := w.planned(add); err == nil && slices.ContainsFunc(p.Steps, shares) {
		books = false // a list may have the plugin twice, and the first one's books are the second one's
	} else if err == nil && slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return is[step.Lone](s) || is[step.Mirrored](s) }) {
		books = true // the name in the container is taken, or the queue at its link
	}
	if _, err := w.inProcess(add); (err != nil) != books {
		return fmt.Errorf("second ADD of %s: %w", w.kind(add).Name, cmp.Or(err, errors.New("succeeded")))
	}
	return nil
}

// shares says whether several entries of a list have the step together.
func shares(s plan.Step) bool {
	c, claims := plan.As[step.Claim](s)
	return is[step.Backup](s) || claims && c.Role.Shared()
}

// doubled adds and deletes the container with every step applied twice.
func (w *World) doubled() error {
	run := func(c call) ([]byte, error) {
		c.rewrite = each(func(_ int, step plan.Step) plan.Step { return twice(step) })
		return w.inProcess(c)
	}
	result, err := w.add(run, w.one)
	if err != nil {
		return err
	}
	return w.del(w.inProcess, call{of: w.one, prev: result})
}

// twice is a step whose Apply is an error where it does something the second time.
func twice(step plan.Step) plan.Step {
	return Wrapped{Step: step, OnApply: func(ctx context.Context, s *site.Site) (bool, error) {
		created, err := step.Apply(ctx, s)
		if err != nil {
			return created, err
		}
		again, err := step.Apply(ctx, s)
		if err == nil && again {
			err = errors.New("applied again: created something again")
		}
		return created, err
	}}
}
