package attach

import (
	"context"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// By the reference's rules that let a container pass nobody knows whose they are: they have its address alone. Left, they would be of whoever gets the
// address next. Whose an address is tell the result and, where there is none, what host-local wrote down.

// undo undoes all that the owner has.
func (v *verb) undo(ctx context.Context, p plan.Plan, o owner.Owner, prev *types100.Result) error {
	p = v.everything(p, o)
	if at := passes(p); at >= 0 {
		c, _ := plan.As[step.Claim](p.Steps[at])
		c.Told = v.addresses(ctx, o, prev)
		p.Steps = slices.Clone(p.Steps)
		p.Steps[at] = c
	}
	err := p.Undo(ctx, v.site)
	switch {
	case err == nil && v.unseen():
		v.site.Unchain(v.req.Plugin, o)
	case err == nil && v.place == First && v.filters:
		v.site.UnchainAll(o)
	}
	return err
}

// passes is the place of the claim to pass that has no address; -1: there is none.
func passes(p plan.Plan) int {
	return slices.IndexFunc(p.Steps, func(s plan.Step) bool {
		c, ok := plan.As[step.Claim](s)
		return ok && c.Role == firewall.Forward && len(c.Pass) == 0
	})
}

// addresses are the owner's: those of the result, else those that are reserved for him. That they cannot be read keeps nothing else.
func (v *verb) addresses(ctx context.Context, o owner.Owner, prev *types100.Result) (list []netip.Addr) {
	if prev != nil {
		for _, ip := range prev.IPs {
			if p := Prefix(ip.Address); p.IsValid() {
				list = append(list, p.Addr())
			}
		}
		return list
	}
	_, container, ifName, whole := o.Names()
	if !whole {
		return nil
	}
	list, err := ipam.Addresses(ctx, v.dataDirs(), v.req.Network, ipam.Holder{ContainerID: container, IfName: ifName})
	if err != nil {
		v.req.Logf("goes on without the addresses of %s: %v", o, err)
	}
	return list
}

// unnamed lists who is not valid and has an address reserved, and nothing that names him: what was made for him by the reference goes before his address
// does.
func (v *verb) unnamed(ctx context.Context, p plan.Plan, valid plugin.Valid, named []firewall.Holder) (more []firewall.Holder, err error) {
	keeps := valid.Holders(v.req.Network)
	if keeps == nil || v.req.DryRun() || passes(p) < 0 {
		return nil, nil
	}
	left, err := ipam.Left(ctx, v.dataDirs(), v.req.Network, keeps)
	for _, l := range left {
		h := firewall.Holder{Owner: owner.Of(v.req.Network, l.ContainerID, l.IfName)}
		if !slices.ContainsFunc(named, func(n firewall.Holder) bool { return n.ID == h.ID }) {
			more = append(more, h)
		}
	}
	return more, err
}
