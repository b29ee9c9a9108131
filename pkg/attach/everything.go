package attach

import (
	"context"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/backup"
	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// A DEL and a GC undo what the owner has, not what today's configuration would make: it may have been changed since the ADD, have lost most of itself
// on the way, or never have been good for an ADD. Whatever it says, the links follow from the owner; the roles in the packet filter are few; and what
// host-local reserved is in files.

// everything is the plan with all that an attachment may have by another configuration, or by a list that had more plugins. It is for the plugin that makes
// the interface, with which the whole attachment goes; one chained after it has its own part alone.
func (v *verb) everything(p plan.Plan, o owner.Owner) plan.Plan {
	if v.place != First {
		return p
	}
	p.Steps, p.Ground = append(slices.Clip(p.Steps), step.Backup{Tuning: step.Tuning{Owner: o, Dir: backup.DefaultDir}, Rest: true}), slices.Clip(p.Ground)
	if !v.filters { // nor is there a host's end, at which a rate could be bound
		return p
	}
	p.Steps = append(p.Steps, step.Mirror{Owner: o})
	for _, role := range firewall.Roles() {
		if !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { c, ok := plan.As[step.Claim](s); return ok && c.Role == role }) {
			p.Steps = append(p.Steps, step.Claim{Owner: o, Claim: firewall.Claim{Role: role}, Rest: true})
		}
	}
	if !slices.ContainsFunc(p.Ground, func(s plan.Step) bool { _, ok := plan.As[step.Tables](s); return ok }) {
		p.Ground = append([]plan.Step{step.Tables{}}, p.Ground...)
	}
	return p
}

// hostLocal is the address plugin that finds what it reserved wherever it is, as release does for it; leases are another's, and it is asked where one of the
// attachment is written down.
const (
	hostLocal = "host-local"
	leases    = "dhcp"
)

// release gives the addresses back, and a lease that the configuration does not speak of.
func (v *verb) release(ctx context.Context, prev *types100.Result) error {
	var lease error
	if v.delegates && v.config.ipam != leases && folder.Has(v.req.ContainerID, v.req.Network, v.req.IfName) {
		_, lease = v.req.Delegate(ctx, leases, "DEL")
	}
	return fault.Join(lease, v.releaseReserved(ctx, prev))
}

// releaseReserved gives the addresses back: by the address plugin that the configuration names, and what another configuration may have had reserved. That the
// plugin is not there is an error where it gave an address, as prevResult says, and that is not found; without one no ADD is known to have succeeded.
func (v *verb) releaseReserved(ctx context.Context, prev *types100.Result) (err error) {
	if !v.delegates {
		return nil
	}
	kind := v.config.ipam
	if plugin.GivesNone(kind) != nil { // it was never asked
		kind = ""
	}
	missing := v.req.Finds(kind)
	if missing == nil {
		_, err = v.req.Delegate(ctx, kind, "DEL")
		phase.End(ctx, "IPAM", kind)
		if kind == hostLocal && err == nil {
			return nil
		}
	}
	holder := ipam.Holder{ContainerID: v.req.ContainerID, IfName: v.req.IfName}
	found, failed := ipam.LetGo(ctx, v.dataDirs(), v.req.Network, holder, v.policy())
	err = fault.Join(err, failed)
	switch {
	case kind == "" || missing == nil || len(found) > 0:
		return err
	case prev != nil && len(prev.IPs) > 0:
		return fault.Join(err, missing)
	}
	v.req.Logf("DEL goes on in spite of: %v", missing)
	return err
}

// releaseInvalid does so for all who are not kept.
func (v *verb) releaseInvalid(ctx context.Context, kept plugin.Valid) (err error) {
	if !v.delegates {
		return nil
	}
	kind := v.config.ipam
	if kind != leases && folder.HasOf(v.req.Network) {
		err = v.req.DelegateGC(ctx, leases, kept)
	}
	if kind != "" {
		err = fault.Join(err, v.req.DelegateGC(ctx, kind, kept))
	}
	if kind == hostLocal {
		return err
	}
	return fault.Join(err, ipam.Collect(ctx, v.dataDirs(), v.req.Network, kept.Holders(v.req.Network), v.policy()))
}

func (v *verb) dataDirs() []string {
	return ipam.Dirs(v.req.Network, v.req.Keys.Object("ipam").String("dataDir", ""))
}

func (v *verb) policy() ipam.Policy {
	return ipam.Policy{Reclaim: true, Dry: v.req.DryRun(), Log: v.req.Logf}
}
