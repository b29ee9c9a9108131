package attach

import (
	"context"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// del is: parse as far as it goes, plan, undo upwards, release the address. It needs no namespace and no prevResult: every object's
// name or mark follows from the owner.
func (e engine) del(ctx context.Context, req *plugin.Request) error {
	ctx, stop := deadline.Finishing(ctx) // a DEL that was begun is best finished
	defer stop()
	v, sandbox, why, err := e.enterLoosely(req)
	if err != nil {
		return err
	}
	defer v.site.Close()
	lock, err := v.site.LockOwner(ctx, v.call.Owner)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := v.site.Depart(v.call.Owner); err != nil {
		req.Logf("DEL goes on in spite of: %v", err)
	}
	phase.End(ctx, "namespaces opened, owner locked")
	others, err := v.others()
	if err != nil {
		return err
	}
	if sandbox == plugin.SandboxOwnHost {
		return v.delOwnHost(ctx, others, why)
	}
	return v.remove(ctx, others)
}

// enterLoosely is how a verb begins that undoes: with what can be read of the configuration, and the container's side where that is there; why says what is wrong
// with its path.
func (e engine) enterLoosely(req *plugin.Request) (v *verb, sandbox plugin.Sandbox, why, err error) {
	config, err := e.parse(req)
	if err != nil {
		req.Logf("DEL goes on in spite of: %v", err)
	}
	netns := req.Netns
	if sandbox, why = req.Sandbox(); sandbox != plugin.SandboxAlive {
		netns = ""
	}
	v, err = e.begin(req, config, netns)
	if err != nil && netns != "" { // it may have died since
		req.Logf("DEL goes on without the sandbox: %v", err)
		v, err = e.begin(req, config, "")
	}
	return v, sandbox, why, err
}

// planLoosely is the plan of what is to be undone, and the result of which it is.
func (v *verb) planLoosely() (p plan.Plan, prev *types100.Result, err error) {
	prev, err = v.req.PrevResult()
	if err != nil {
		v.req.Logf("DEL goes on without prevResult: %v", err)
	}
	p, err = v.plan(prev)
	if err != nil && prev != nil {
		v.req.Logf("DEL goes on without prevResult: %v", err)
		p, err = v.plan(nil)
	}
	return p, prev, err
}

// remove undoes the plan and releases the address, unless anything is left: two would have the address, or the next owner the rules. An address plugin that looks at the
// interface does so first, while that is there: it may have to say by it that the address is free.
func (v *verb) remove(ctx context.Context, others []other) error {
	if err := v.undoOthers(ctx, others); err != nil {
		return err // what tells of their part is left, too
	}
	p, prev, err := v.planLoosely()
	var left, released error
	late := v.config.ipam != "" && !Early(v.req.Keys)
	if late {
		released = v.release(ctx, prev)
	}
	if err == nil {
		left = v.undo(ctx, p, v.call.Owner, prev)
	}
	if late || left != nil {
		return fault.Join(err, left, released)
	}
	ctx, stop := deadline.Undoing(ctx) // however long the rest took
	defer stop()
	return fault.Join(err, v.release(ctx, prev))
}

// delOwnHost is a DEL whose CNI_NETNS is the host's own namespace: the path is of a process whose number was used again. It is
// never entered. What is ours on the host's side goes; where nothing is, the path is most likely a mistake, and said to be one.
func (v *verb) delOwnHost(ctx context.Context, others []other, why error) error {
	p, err := v.plan(nil)
	if err != nil {
		return fault.Join(why, err)
	}
	holders, err := v.everything(p, v.call.Owner).Owners(ctx, v.site, v.call.Owner.ID.Network)
	if err != nil {
		return fault.Join(why, err)
	}
	ours := slices.ContainsFunc(holders, func(h firewall.Holder) bool { return h.ID == v.call.Owner.ID }) ||
		slices.ContainsFunc(others, func(o other) bool { return o.known })
	if !ours && v.config.ipam != "" {
		_, err := v.req.Delegate(ctx, v.config.ipam, "CHECK")
		ours = err == nil
	}
	if !ours {
		return why
	}
	return v.remove(ctx, others)
}
