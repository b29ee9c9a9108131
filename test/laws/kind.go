package laws

import (
	"context"
	"maps"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Rewrite changes a plan between the planner and whoever reads the plan, to inject a fault or to look on.
type Rewrite func(plan.Plan) plan.Plan

// Kind is a kind of plugin as the laws see it.
type Kind struct {
	Name string
	// With returns the plugin, and those that it calls in its process, with all plans rewritten.
	With func(Rewrite) plugin.Bundle
	// Parts are the plugins that a list of plugins may have; nil for any other.
	Parts map[string]Kind
	// The following are nil for a list and for an address plugin, which have no plans of their own.

	// Alone is With for a plugin that leaves its IPAM plugin in peace, and undoes nothing but its plan.
	Alone func(Rewrite) plugin.Bundle
	// Plan returns the plan for a request, given a result and a seed for what is drawn by lot.
	Plan func(req *plugin.Request, result *types100.Result, seed byte) (plan.Plan, error)
	// Asks says whether an IPAM plugin is asked.
	Asks func(*plugin.Request) bool
}

// Of returns the kind of an attachment plugin.
func Of[C any](k attach.Kind[C]) Kind {
	alone := k
	alone.IPAM, alone.Place = nil, attach.Anywhere
	return Kind{
		Name:  k.Name,
		With:  func(r Rewrite) plugin.Bundle { return rewritten(k, r) },
		Alone: func(r Rewrite) plugin.Bundle { return rewritten(alone, r) },
		Plan: func(req *plugin.Request, result *types100.Result, seed byte) (plan.Plan, error) {
			config, err := k.Parse(req)
			if err != nil {
				return plan.Plan{}, err
			}
			return k.Plan(config, attach.Call{Owner: owner.Of(req.Network, req.ContainerID, req.IfName), IfName: req.IfName,
				Netns: req.Netns, Seed: [32]byte{seed}, Result: result})
		},
		Asks: func(req *plugin.Request) bool {
			config, err := k.Parse(req)
			return err == nil && k.IPAM != nil && k.IPAM(config) != ""
		},
	}
}

func rewritten[C any](k attach.Kind[C], rewrite Rewrite) plugin.Bundle {
	original := k.Plan
	k.Plan = func(config C, call attach.Call) (plan.Plan, error) {
		p, err := original(config, call)
		if err == nil && rewrite != nil {
			p = rewrite(p)
		}
		return p, err
	}
	return plugin.Bundle{k.Name: k.Plugin()}
}

// Address returns the kind of an address plugin.
func Address(p plugin.Plugin) Kind {
	return Kind{Name: p.Name, With: func(Rewrite) plugin.Bundle { return plugin.Bundle{p.Name: p} }}
}

// List returns the kind of the plugin that runs a list of others, which are of the kinds given.
func List(p plugin.Plugin, parts map[string]Kind) Kind {
	return Kind{Name: p.Name, Parts: parts, With: func(r Rewrite) plugin.Bundle {
		bundle := plugin.Bundle{p.Name: p}
		for _, part := range parts {
			maps.Copy(bundle, part.With(r))
		}
		return bundle
	}}
}

// in returns With for a list of which only one part's plans are rewritten by r, the others' by the first.
func (k Kind) in(part string, first, r Rewrite) plugin.Bundle {
	if part == "" {
		return k.With(then(first, r))
	}
	bundle := k.With(first)
	maps.Copy(bundle, k.Parts[part].With(then(first, r)))
	return bundle
}

// gives says whether the plugin has addresses to give, and no plans.
func (k Kind) gives() bool { return k.Plan == nil && k.Parts == nil }

// steps returns all steps of a plan in their order, those of the ground first.
func steps(p plan.Plan) []plan.Step { return slices.Concat(p.Ground, p.Steps) }

// each rewrites every step, ground included. index counts as in steps.
func each(change func(index int, step plan.Step) plan.Step) Rewrite {
	return func(p plan.Plan) plan.Plan {
		all := steps(p)
		for i, step := range all {
			all[i] = change(i, step)
		}
		p.Ground, p.Steps = all[:len(p.Ground):len(p.Ground)], all[len(p.Ground):]
		return p
	}
}

// then applies two rewrites one after the other; either may be nil.
func then(first, second Rewrite) Rewrite {
	return func(p plan.Plan) plan.Plan {
		for _, r := range []Rewrite{first, second} {
			if r != nil {
				p = r(p)
			}
		}
		return p
	}
}

// Wrapped is a step with some of its methods replaced; nil ones are the step's own. What the step is besides (plan.Guarded,
// plan.Carrier ...) is found through Unwrap.
type Wrapped struct {
	plan.Step
	OnApply  func(context.Context, *site.Site) (bool, error)
	OnUndo   func(context.Context, *site.Site) error
	OnVerify func(context.Context, *site.Site) error
}

// Unwrap returns the step inside.
func (w Wrapped) Unwrap() plan.Step { return w.Step }

// Apply is plan.Step's.
func (w Wrapped) Apply(ctx context.Context, s *site.Site) (bool, error) {
	if w.OnApply != nil {
		return w.OnApply(ctx, s)
	}
	return w.Step.Apply(ctx, s)
}

// Undo is plan.Step's.
func (w Wrapped) Undo(ctx context.Context, s *site.Site) error {
	if w.OnUndo != nil {
		return w.OnUndo(ctx, s)
	}
	return w.Step.Undo(ctx, s)
}

// Verify is plan.Step's.
func (w Wrapped) Verify(ctx context.Context, s *site.Site) error {
	if w.OnVerify != nil {
		return w.OnVerify(ctx, s)
	}
	return w.Step.Verify(ctx, s)
}
