package attach

import (
	"context"
	"fmt"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// gc removes, of this network, every attachment that is not valid, and then the ground that nobody uses. It goes on after errors and
// reports them all.
func (k Kind[C]) gc(ctx context.Context, req *plugin.Request) error {
	config, err := k.Parse(req)
	if err != nil {
		return err
	}
	valid, err := req.ValidAttachments()
	if err != nil {
		return err
	}
	v, err := k.begin(req, config, "")
	if err != nil {
		return err
	}
	defer v.site.Close()
	err = v.collect(ctx, valid)
	if v.ipam() != "" {
		_, forwarded := v.req.Delegate(ctx, v.ipam(), "GC")
		err = fault.Join(err, forwarded)
	}
	return err
}

func (v *verb[C]) collect(ctx context.Context, valid plugin.Valid) error {
	p, err := v.plan(nil)
	if err != nil {
		return err
	}
	holders, err := p.Owners(ctx, v.site, owner.Network(v.req.Network))
	errs := []error{err}
	for _, h := range holders {
		proof := v.condemns(valid, h)
		if proof == "" {
			continue
		}
		if err := v.bury(ctx, h, proof); err != nil {
			errs = append(errs, fmt.Errorf("attachment %s: %w", h, err))
		}
	}
	if !v.req.DryRun() {
		errs = append(errs, p.Sweep(ctx, v.site))
	}
	return fault.Join(errs...)
}

// condemns says why an attachment goes, and nothing where it stays: it is in the runtime's list or, where the runtime sent none, it is not
// provably dead.
func (v *verb[C]) condemns(valid plugin.Valid, h firewall.Holder) string {
	switch {
	case valid.Known && !valid.Keeps(h.ID):
		return "the runtime's valid attachments do not name it"
	case !valid.Known && step.Dead(v.site, h):
		return "its link " + h.HostLink() + " is gone"
	}
	return ""
}

// bury undoes all of one attachment that the host's side has.
func (v *verb[C]) bury(ctx context.Context, h firewall.Holder, proof string) error {
	if v.req.DryRun() {
		v.req.Logf("would remove attachment %s: %s", h, proof)
		return nil
	}
	lock, err := v.site.LockOwner(ctx, h.Owner)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	p, err := v.Plan(v.config, Call{Owner: h.Owner})
	if err != nil {
		return err
	}
	v.req.Logf("removes attachment %s: %s", h, proof)
	return p.Undo(ctx, v.site)
}
