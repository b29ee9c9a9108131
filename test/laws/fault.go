package laws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/site"
)

var errInjected = errors.New("injected fault")

// Fault is law 2: an ADD that fails at any step, before its Apply or after, or that cannot print its result, restores the state before it.
func Fault(w *World) error {
	if err := w.prime(); err != nil {
		return err
	}
	before := w.snapshot()
	for member := range w.Plugins {
		result, err := w.addUpTo(w.inProcess, w.one, member)
		if err != nil {
			return err
		}
		if err := w.faults(call{verb: "ADD", member: member, of: w.one, prev: result}); err != nil {
			return err
		}
		if err := w.del(w.inProcess, call{of: w.one, prev: result}); err != nil {
			return err
		}
		if err := w.same(before, "failed ADDs and DEL"); err != nil {
			return err
		}
	}
	return nil
}

// faults makes one ADD fail in all ways.
func (w *World) faults(add call) error {
	kind := w.kind(add)
	switch {
	case kind.gives():
		if err := w.laterSet(add); err != nil {
			return err
		}
	case kind.Plan != nil:
		p, err := w.planned(add)
		if err == nil {
			err = w.faultsIn(p, add)
		}
		if err != nil {
			return err
		}
	default:
		if err := w.faultsInParts(add); err != nil {
			return err
		}
	}
	add.rewrite, add.part = nil, ""
	return w.unprinted(add)
}

// faultsInParts is faultsIn for each plugin of a list. Where one fails, those before it are undone.
func (w *World) faultsInParts(add call) error {
	flat := w.flat()
	for member, config := range flat.Plugins {
		p, err := flat.planned(call{verb: "ADD", member: member, of: w.one})
		if err == nil {
			add.part = config.Type()
			err = w.faultsIn(p, add)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// faultsIn makes the ADD fail at each step of the plan.
func (w *World) faultsIn(p plan.Plan, add call) error {
	before := w.snapshot()
	for i, step := range steps(p) {
		for _, after := range []bool{false, true} {
			add.rewrite = each(func(at int, step plan.Step) plan.Step {
				if at != i {
					return step
				}
				return broken(step, after)
			})
			name := fmt.Sprintf("fault at step %d (%s), after it: %v", i, step, after)
			if _, err := w.inProcess(add); err == nil || !strings.Contains(err.Error(), errInjected.Error()) {
				return fmt.Errorf("%s: the ADD answered %v", name, err)
			} else if !strings.Contains(err.Error(), kindOf(step.String())) {
				return fmt.Errorf("%s: the ADD's error does not name the step: %w", name, err)
			}
			if err := w.same(before, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// kindOf cuts the values off a step's text: its first word names the kind.
func kindOf(text string) string {
	kind, _, _ := strings.Cut(text, " ")
	return kind
}

// broken is a step that fails, before it did anything or after all was done. On the ground it is never found to be there, so that its
// Apply is called.
func broken(step plan.Step, after bool) plan.Step {
	return Wrapped{
		Step: step,
		OnApply: func(ctx context.Context, s *site.Site) (bool, error) {
			if !after {
				return false, errInjected
			}
			created, err := step.Apply(ctx, s)
			return created, errors.Join(err, errInjected)
		},
		OnVerify: func(context.Context, *site.Site) error { return errInjected },
	}
}

// unprinted makes an ADD whose runtime has closed its end of the pipe.
func (w *World) unprinted(add call) error {
	before := w.snapshot()
	r, out, err := os.Pipe()
	if err != nil {
		return err
	}
	r.Close()
	defer out.Close()
	add.out = out
	if _, err := w.inProcess(add); err == nil {
		return errors.New("ADD: succeeded without printing its result")
	}
	return w.same(before, "ADD that could not print")
}

// laterSet asks an address plugin for an address that another container has, in its last range set: those reserved before it go back.
func (w *World) laterSet(add call) error {
	theirs, err := w.add(w.inProcess, w.other)
	if err != nil {
		return err
	}
	ips, err := w.addresses(theirs)
	if err != nil {
		return err
	}
	before := w.snapshot()
	add.runtime = map[string]any{"ips": ips[len(ips)-1:]}
	if _, err := w.inProcess(add); err == nil {
		return fmt.Errorf("ADD: gave away %s, which another container has", ips[len(ips)-1])
	}
	if err := w.same(before, "ADD without an address in the last set"); err != nil {
		return err
	}
	return w.del(w.inProcess, call{of: w.other, prev: theirs})
}

func (w *World) addresses(result []byte) (list []string, err error) {
	r, err := w.parse(result)
	if err != nil {
		return nil, err
	}
	for _, ip := range r.IPs {
		list = append(list, ip.Address.IP.String())
	}
	return list, nil
}

// parse reads a result of the chain's version.
func (w *World) parse(result []byte) (*types100.Result, error) {
	if !json.Valid(result) {
		return nil, fmt.Errorf("result: not JSON: %q", result)
	}
	return parseResult(result, w.Version)
}
