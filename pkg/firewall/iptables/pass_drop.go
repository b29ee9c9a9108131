package iptables

import (
	"context"
	"net/netip"
	"os"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// dropPass removes what the owner's ledger tells of, and the rules of the claim's addresses that no ledger does: the reference has none.
func (f *Filter) dropPass(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	lock, err := f.lockUsed(ctx) // a tool may still be at work for an ADD that was killed
	if err != nil {
		return err
	}
	defer lock.Close() // nil has none
	k, err := f.lookBy(listerFor(lock))
	if err != nil {
		return err
	}
	defer k.close()
	var errs []error
	for _, p := range places() {
		mine := part(p.family, c)
		addrs := slices.Concat(mine.Pass, mine.Told)
		known, err := k.has(ctx, p, "raw", ledgerChain(o, c.Role))
		nameless := false
		if err == nil && !known && len(addrs) > 0 {
			nameless, err = k.has(ctx, p, "filter", forwardChain)
		}
		if !known && !nameless {
			errs = append(errs, err)
			continue
		}
		t, failed := f.find(ctx, p.family, p.flavour)
		if failed != nil && !known {
			continue // whoever made these has taken the tool away with him
		}
		if err = failed; err == nil && lock == nil {
			if lock, err = f.lock(ctx); err == nil {
				defer lock.Close()
			}
		}
		if err == nil {
			err = dropPassIn(ctx, lock, t, o, addrs)
		}
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}

// dropPassIn drops in one family and flavour.
func dropPassIn(ctx context.Context, lock *os.File, t *tool, o owner.Owner, addrs []netip.Addr) error {
	return again(ctx, func() (looks bool, err error) {
		s, err := t.loadFilter(ctx)
		if err != nil {
			return false, err
		}
		for _, e := range s.entries {
			if e.ID == o.ID && e.role == firewall.Forward {
				addrs = append(addrs, e.addr)
			}
		}
		s.dropAddresses(o, addrs)
		dissolve(s.raw, &s.toRaw, ledgerChain(o, firewall.Forward))
		return true, s.write(ctx, lock, lines{"filter", s.toFilter}, lines{"raw", s.toRaw})
	})
}

// dropAddresses notes the rules of addresses that nobody else has.
func (s *state) dropAddresses(o owner.Owner, addrs []netip.Addr) {
	for _, a := range addrs {
		if slices.ContainsFunc(s.entries, func(e entry) bool { return e.role == firewall.Forward && e.addr == a && e.ID != o.ID }) {
			continue
		}
		mine := append(s.passRules(a), s.publishedRule(a))
		for _, chain := range []string{forwardChain, publishedChain} {
			for _, rule := range s.filter.chains[chain] {
				line := "-D " + chain + " " + rule
				if slices.Contains(mine, rule) && !(slices.Contains(s.toFilter, line) && s.times(chain, rule) == 1) {
					s.toFilter = append(s.toFilter, line)
				}
			}
		}
	}
}

func (s *state) times(chain, rule string) (n int) {
	for _, r := range s.filter.chains[chain] {
		if r == rule {
			n++
		}
	}
	return n
}

// ungroundPass removes the chain for published ports where nobody passes any more. The reference's own it never removes, and so neither do we: the
// operator's rules may be in one.
func (f *Filter) ungroundPass(ctx context.Context) error {
	tools, err := f.everywhere(ctx, "filter")
	if err != nil || len(tools) == 0 {
		return err
	}
	k, err := f.look()
	if err != nil {
		return err
	}
	defer k.close()
	var errs []error
	for _, t := range tools {
		there, err := k.has(ctx, place{t.family, t.flavour}, "filter", publishedChain)
		if err == nil && there {
			err = f.ungroundPassIn(ctx, t)
		}
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}

func (f *Filter) ungroundPassIn(ctx context.Context, t *tool) error {
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	s, err := t.loadFilter(ctx)
	if err != nil || slices.ContainsFunc(s.entries, func(e entry) bool { return e.role == firewall.Forward }) {
		return err
	}
	for _, rule := range s.filter.jumps(forwardHook, publishedChain) {
		s.toFilter = append(s.toFilter, "-D "+forwardHook+" "+rule)
	}
	dissolve(s.filter, &s.toFilter, publishedChain)
	return s.write(ctx, lock, lines{"filter", s.toFilter})
}
