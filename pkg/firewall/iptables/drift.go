package iptables

import (
	"context"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// missing notes what Hold would make, or take over.
func (f *Filter) missing(ctx context.Context, o owner.Owner, c firewall.Claim) ([]*state, error) {
	c.First = true // what is beside the only claim is a difference
	if c.Role == firewall.Forward {
		return f.passStates(ctx, o, c)
	}
	return f.hold(ctx, o, c, func(firewall.Holder) bool { return true })
}

func drifted(list []string) error {
	if len(list) == 0 {
		return nil
	}
	return fault.New(fault.Drift, "find what else changes the rules, then delete the attachment and add it again", "packet filter: %s", strings.Join(list, "; "))
}
