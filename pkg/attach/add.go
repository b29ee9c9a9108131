package attach

import (
	"context"
	"errors"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// add is: guard, parse, IPAM, plan, apply, print. On an error all that was made is undone, and the error names the step.
func (e engine) add(ctx context.Context, req *plugin.Request) error {
	v, leave, err := e.enterAlone(ctx, req)
	if err != nil {
		return err
	}
	defer leave()
	v.site.Arrive(v.call.Owner)
	phase.End(ctx, "namespaces opened, owner locked")
	var m made
	if err := v.build(ctx, &m); err != nil {
		ctx, stop := deadline.Undoing(ctx)
		defer stop()
		return fault.Join(err, v.site.Depart(v.call.Owner), v.unmake(ctx, m))
	}
	return nil
}

// enterAlone enters, and keeps everybody else from this attachment until leave: one lock an owner is over guard, reservation and links, so that of
// two ADDs for one interface the second finds the first.
func (e engine) enterAlone(ctx context.Context, req *plugin.Request) (v *verb, leave func(), err error) {
	if v, err = e.enter(req); err != nil {
		return nil, nil, err
	}
	lock, err := v.site.LockOwner(ctx, v.call.Owner)
	if err != nil {
		v.site.Close()
		return nil, nil, err
	}
	return v, func() { lock.Unlock(); v.site.Close() }, nil
}

// made is what an ADD has to take back when it fails.
type made struct {
	plan     plan.Plan // that was begun with
	steps    plan.Done
	reserved bool // the IPAM plugin may hold something
	chained  bool // it is written down that this plugin has something
}

func (v *verb) build(ctx context.Context, m *made) error {
	var result *types100.Result
	if v.place != First {
		var err error
		if result, err = v.prevResult(); err != nil {
			return err
		}
	}
	p, err := v.plan(result)
	if err != nil {
		return err
	}
	phase.End(ctx, "plan")
	if err := v.guard(ctx, p); err != nil {
		return err
	}
	phase.End(ctx, "guard")
	if v.config.ipam != "" {
		if p, err = v.reserve(ctx, p, m); err != nil {
			return err
		}
	}
	if err := v.apply(ctx, p, m); err != nil {
		return err
	}
	if p.Result != result && v.place != After && len(p.Steps) > 0 { // one of our own
		if err := describe(v.site, p.Result); err != nil {
			return fmt.Errorf("result: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer func() { phase.End(ctx, "result") }()
	return v.req.Print(p.Result)
}

func (v *verb) apply(ctx context.Context, p plan.Plan, m *made) (err error) {
	m.plan = p
	if m.chained, err = v.chain(); err != nil {
		return err
	}
	done, err := p.Apply(ctx, v.site)
	m.steps = append(m.steps, done...)
	return err
}

// guard is the plan's. What is left of an attachment of the same names goes first where that is provably gone, whatever the list was then: the reference's
// DEL knows nothing of it.
func (v *verb) guard(ctx context.Context, p plan.Plan) error {
	if err := v.clear(ctx); err != nil {
		return err
	}
	var held []firewall.Role
	if v.place == First && v.filters {
		held = step.RolesOf(ctx, v.site, v.call.Owner) // first, since it spares the steps' questions
	}
	err := p.Guard(ctx, v.site)
	if err == nil {
		err = step.Remains(ctx, v.site, v.call.Owner, held)
	}
	if !errors.Is(err, step.ErrRemains) {
		return err
	}
	if err := v.forget(ctx, firewall.Roles()); err != nil {
		return err
	}
	return p.Guard(ctx, v.site)
}

// clear removes what the packet filter has of an earlier life of the container, whichever plugin of its list made it, where the plugin that makes the interface may have
// none to look in: where no link of the host's carries the attachment.
func (v *verb) clear(ctx context.Context) error {
	if v.place != After || !v.filters || v.call.Carried() {
		return nil
	}
	roles, err := step.Bygone(ctx, v.site, v.call.Owner)
	if err != nil || len(roles) == 0 {
		return err
	}
	return v.forget(ctx, roles)
}

// forget removes what is left of an earlier attachment in these roles. Links and their addresses are gone with another's DEL.
func (v *verb) forget(ctx context.Context, roles []firewall.Role) error {
	v.req.Logf("removes what is left of an earlier attachment %s, which is gone", v.call.Owner)
	var p plan.Plan
	for _, role := range roles {
		p.Steps = append(p.Steps, step.Claim{Owner: v.call.Owner, Claim: firewall.Claim{Role: role}})
	}
	if err := v.undo(ctx, p, v.call.Owner, nil); err != nil {
		return err
	}
	v.site.Arrive(v.call.Owner)
	return nil
}

// reserve asks the IPAM plugin, before anything is made or, for one that wants to see the interface, after the links. It returns the plan
// with the addresses filled in.
func (v *verb) reserve(ctx context.Context, p plan.Plan, m *made) (plan.Plan, error) {
	if err := v.req.Finds(v.config.ipam); err != nil {
		return p, err // it has nothing to give back
	}
	if !Early(v.req.Keys) {
		done, err := p.Links().Apply(ctx, v.site)
		m.steps = done
		if err != nil {
			return p, err
		}
	}
	result, err := v.req.Delegate(ctx, v.config.ipam, "ADD")
	m.reserved = !v.neverBegan(err)
	if err != nil {
		return p, err
	}
	phase.End(ctx, "IPAM", v.config.ipam)
	if p, err = v.plan(result); err != nil {
		return p, err
	}
	// The addresses may collide with what the bridge has. Looking now leaves less to undo than finding it half-way.
	return p, plan.Plan{Ground: p.Ground}.Guard(ctx, v.site)
}

// neverBegan says whether the IPAM plugin waited in vain for its turn, so that there is nothing to release; a DEL would wait for the same. Only of
// our own it is known what the end of a wait by a signal means.
func (v *verb) neverBegan(err error) bool {
	return fault.Code(err) == fault.TryLater || fault.Code(err) == fault.Interrupted && Early(v.req.Keys)
}

// unmake undoes the steps, then gives the address back, unless anything is left, as a DEL does. Who looks at the interface gives it back before.
func (v *verb) unmake(ctx context.Context, m made) error {
	var released error
	late := !Early(v.req.Keys)
	if late && m.reserved {
		_, released = v.req.Delegate(ctx, v.config.ipam, "DEL")
	}
	left := m.steps.Undo(ctx, v.site)
	err := fault.Join(left, m.plan.Vacate(ctx, v.site))
	if m.chained && left == nil {
		v.site.Unchain(v.req.Plugin, v.call.Owner)
	}
	if late || !m.reserved || left != nil {
		return fault.Join(err, released)
	}
	_, released = v.req.Delegate(ctx, v.config.ipam, "DEL")
	return fault.Join(err, released)
}
