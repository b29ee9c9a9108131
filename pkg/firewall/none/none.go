// Package none is the answer of a host without a packet filter of ours: whoever asked for no firewall gets no rule, and is told
// when something cannot be had without one.
//
// Nothing is ever held here, so dropping and looking for owners succeed with nothing. It looks at no table of another backend: an
// attachment that was made under one keeps its rules until a DEL or GC with that backend's name.
package none

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Filter holds nothing. The zero value is ready.
type Filter struct{}

var _ firewall.Filter = Filter{}

// hint is what whoever wants something of a packet filter can do.
const hint = "choose the firewall backend nft, or leave out what needs one: ipMasq, port mappings, macspoofchk"

// Ground has nothing to make.
func (Filter) Ground(context.Context) error { return nil }

// Grounded finds nothing missing.
func (Filter) Grounded(context.Context) error { return nil }

// Unground has nothing to take away.
func (Filter) Unground(context.Context) error { return nil }

// Hold refuses every claim that has values, with code Unsupported. To promise what no rule keeps would open or cut a network
// that somebody believes to be otherwise.
func (Filter) Hold(_ context.Context, o owner.Owner, c firewall.Claim, _ func(firewall.Holder) bool) (bool, error) {
	return false, refuse(fault.Unsupported, o, c)
}

// Drop has nothing to drop.
func (Filter) Drop(context.Context, owner.Owner, firewall.Claim) error { return nil }

// Held says that a claim with values is not held, with code Drift.
func (Filter) Held(_ context.Context, o owner.Owner, c firewall.Claim) error {
	return refuse(fault.Drift, o, c)
}

// Holds says no.
func (Filter) Holds(context.Context, owner.Owner, firewall.Role) (bool, error) { return false, nil }

// Holdings are none.
func (Filter) Holdings(context.Context, owner.Owner, firewall.Role) ([]firewall.Holder, error) {
	return nil, nil
}

// Owners lists nobody.
func (Filter) Owners(context.Context, firewall.Role, [8]byte) ([]firewall.Holder, error) {
	return nil, nil
}

// Ready says that Hold cannot work, with code NoService. A plugin asks it only if its configuration claims something.
func (Filter) Ready(context.Context) error {
	return fault.New(fault.NoService, hint, "packet filter: none was asked for")
}

// Close closes nothing.
func (Filter) Close() error { return nil }

func refuse(code uint, o owner.Owner, c firewall.Claim) error {
	if c.Empty() {
		return nil
	}
	return fault.New(code, hint, "%s: %s: no packet filter here", c.Role, o)
}
