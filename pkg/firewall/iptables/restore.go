package iptables

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// takeBack takes back what a Hold has made, in each family: all that the owner has or, if he had something there before, what is beside that.
func (f *Filter) takeBack(ctx context.Context, lock *os.File, o owner.Owner, r firewall.Role, states []*state) error {
	ctx, stop := deadline.Undoing(ctx)
	defer stop()
	var errs []error
	for _, s := range states {
		switch {
		case s.raw.has(ledgerChain(o, r)):
			errs = append(errs, s.write(ctx, lock, lines{"nat", s.nat.undoing(s.toNAT)}, lines{"filter", s.filter.undoing(s.toFilter)}, lines{"raw", s.raw.undoing(s.toRaw)}))
		case r == firewall.Forward:
			errs = append(errs, dropPassIn(ctx, lock, s.tool, o, nil))
		default:
			errs = append(errs, f.dropIn(ctx, lock, s.tool, o, firewall.Claim{Role: r}))
		}
	}
	return fault.Join(errs...)
}

// Restore takes back what the last Hold has made, where the owner had something before.
func (f *Filter) Restore(ctx context.Context, o owner.Owner, r firewall.Role) (done bool, err error) {
	states := f.made
	if f.made = nil; !slices.ContainsFunc(states, func(s *state) bool { return s.raw.has(ledgerChain(o, r)) }) {
		return false, nil
	}
	lock, err := f.lock(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	return true, f.takeBack(ctx, lock, o, r, states)
}

// undoing are the lines that take back what others do to the table.
func (r *ruleset) undoing(lines []string) (list []string) {
	var anew []string // chains that are written whole
	for _, line := range lines {
		if name, found := strings.CutPrefix(line, ":"); found {
			name, _, _ = strings.Cut(name, " ")
			anew = append(anew, name)
		}
	}
	for _, line := range slices.Backward(lines) {
		verb, rest, _ := strings.Cut(line, " ")
		chain, rule, _ := strings.Cut(rest, " ")
		switch {
		case slices.Contains(anew, chain):
		case verb == "-I":
			_, rule, _ = strings.Cut(rule, " ") // the place
			fallthrough
		case verb == "-A":
			list = append(list, "-D "+chain+" "+rule)
		case verb == "-D":
			list = append(list, "-A "+chain+" "+rule)
		}
	}
	for _, chain := range anew {
		list = append(list, ":"+chain+" - [0:0]")
		for _, rule := range r.chains[chain] {
			list = append(list, "-A "+chain+" "+rule)
		}
	}
	return list
}
