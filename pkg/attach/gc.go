package attach

import (
	"context"
	"fmt"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/step"
)

// gc removes, of this network, every attachment that is not valid, and then the ground that nobody uses. It goes on after errors and
// reports them all; that the configuration has become one that no ADD would take is none, as for a DEL: what its attachments left is there all the same.
func (e engine) gc(ctx context.Context, req *plugin.Request) error {
	v, valid, err := e.beginCollecting(req)
	if err != nil {
		return err
	}
	defer v.site.Close()
	mine, stop := deadline.Early(ctx)
	defer stop()
	failed := v.collectOthers(mine, valid)
	kept, err := v.collect(mine, valid)
	if failed != nil {
		kept = plugin.Valid{} // what is left, and of whom, is not known
	}
	return fault.Join(failed, err, v.releaseInvalid(ctx, kept))
}

// beginCollecting begins with what can be read of the configuration, on the host alone.
func (e engine) beginCollecting(req *plugin.Request) (v *verb, valid plugin.Valid, err error) {
	if valid, err = req.ValidAttachments(); err != nil {
		return nil, valid, err
	}
	config, _ := e.parse(req) // STATUS says what is wrong with it
	v, err = e.begin(req, config, "")
	return v, valid, err
}

// collect returns who keeps his address: who is valid, and whoever could not be buried, since what is left of him would be the next owner's. Where
// it is not known who that is, nobody's is to go but that of the provably dead.
func (v *verb) collect(ctx context.Context, valid plugin.Valid) (kept plugin.Valid, err error) {
	p, err := v.plan(nil)
	if err != nil {
		return plugin.Valid{}, err
	}
	p = v.everything(p, v.call.Owner)
	holders, err := p.Owners(ctx, v.site, owner.Network(v.req.Network))
	more, failed := v.unnamed(ctx, p, valid, holders)
	holders = append(holders, more...)
	if kept = valid; err != nil {
		kept = plugin.Valid{}
	}
	errs := []error{err, failed}
	for _, h := range holders {
		if ctx.Err() != nil {
			return plugin.Valid{}, fault.Join(append(errs, fmt.Errorf("from attachment %s on: %w", h, ctx.Err()))...)
		}
		proof := v.condemns(valid, h)
		if proof == "" {
			continue
		}
		if err := v.bury(ctx, h, proof); err != nil {
			errs = append(errs, fmt.Errorf("attachment %s: %w", h, err))
			kept = v.unburied(kept, h)
		}
	}
	errs = append(errs, v.shed(ctx, p))
	if !v.req.DryRun() {
		errs = append(errs, p.Sweep(ctx, v.site))
	}
	return kept, fault.Join(errs...)
}

// unburied adds the attachment to those that are kept, as far as its names are known.
func (v *verb) unburied(kept plugin.Valid, h firewall.Holder) plugin.Valid {
	_, container, ifName, whole := h.Names()
	if !kept.Known || !whole {
		return plugin.Valid{}
	}
	return kept.And(v.req.Network, plugin.Attachment{ContainerID: container, IfName: ifName})
}

// condemns says why an attachment goes, and nothing where it stays: it is in the runtime's list or, where the runtime sent none, it is not
// provably dead.
func (v *verb) condemns(valid plugin.Valid, h firewall.Holder) string {
	switch {
	case !valid.Known:
		return v.proof(h)
	case !valid.Keeps(h.ID):
		return "the runtime's valid attachments do not name it"
	}
	return ""
}

// lockAmong locks one owner of several. Who is at work on an attachment for long is no reason to leave all others as they are.
func (v *verb) lockAmong(ctx context.Context, o owner.Owner) (*site.Lock, error) {
	ctx, stop := deadline.Share(ctx, 5)
	defer stop()
	return v.site.LockOwner(ctx, o)
}

// bury undoes all of one attachment that the host's side has.
func (v *verb) bury(ctx context.Context, h firewall.Holder, proof string) error {
	if v.req.DryRun() {
		v.req.Logf("would remove attachment %s: %s", h, proof)
		return nil
	}
	lock, err := v.lockAmong(ctx, h.Owner)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	p, err := v.config.plan(Call{Owner: h.Owner})
	if err != nil {
		return err
	}
	if err := v.site.Depart(h.Owner); err != nil {
		return err
	}
	v.req.Logf("removes attachment %s: %s", h, proof)
	return v.undo(ctx, p, h.Owner, nil)
}

// shed removes what another suite's DEL left of attachments that this suite has made again since, and which live, valid or not.
func (v *verb) shed(ctx context.Context, p plan.Plan) error {
	var errs []error
	for _, s := range p.Steps {
		c, ok := plan.As[step.Claim](s)
		if !ok {
			continue
		}
		relics, err := c.Relics(ctx, v.site, owner.Network(v.req.Network))
		errs = append(errs, err)
		for _, h := range relics {
			errs = append(errs, v.shedOne(ctx, c, h.Owner))
		}
	}
	return fault.Join(errs...)
}

func (v *verb) shedOne(ctx context.Context, c step.Claim, o owner.Owner) error {
	what := fmt.Sprintf("%s of an earlier attachment %s: its link %s is gone, and another carries it", c, o, o.HostLink())
	if v.req.DryRun() {
		v.req.Logf("would remove %s", what)
		return nil
	}
	lock, err := v.lockAmong(ctx, o)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	v.req.Logf("removes %s", what)
	return c.Shed(ctx, v.site, o)
}
