package iptables

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Drop looks in both families and flavours for what the owner holds, and for the chains that the reference made for the network and the
// container; where there is nothing, which the kernel says without a tool, it runs nothing.
func (f *Filter) Drop(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	if c.Role.Frames() {
		return f.options.Link.Drop(ctx, o, c)
	}
	if check(c) != nil {
		c = firewall.Claim{Role: c.Role} // a configuration that became wrong must not keep what it once made
	}
	if c.Role == firewall.Forward {
		return f.dropPass(ctx, o, c)
	}
	lock, err := f.lockUsed(ctx) // a tool may still be at work for an ADD that was killed
	if err != nil {
		return err
	}
	defer lock.Close() // nil has none
	tools, err := f.holdingBy(ctx, listerFor(lock), o, c.Role)
	if err != nil || len(tools) == 0 {
		return err
	}
	if lock == nil {
		if lock, err = f.lock(ctx); err != nil {
			return err
		}
		defer lock.Close()
	}
	var errs []error
	for _, t := range tools {
		errs = append(errs, f.dropIn(ctx, lock, t, o, c))
	}
	return fault.Join(errs...)
}

// listerFor lists tables anew where there is a lock; without one no tool of ours can have made any meanwhile.
func listerFor(lock *os.File) lister {
	if lock == nil {
		return (*nftconn.Conn).Tables
	}
	return (*nftconn.Conn).ListTables
}

// holding returns the tools by which something of the owner's is to be found; first those for what no ledger tells of, so that a kill in between leaves
// nothing that nobody knows of.
func (f *Filter) holding(ctx context.Context, o owner.Owner, r firewall.Role) ([]*tool, error) {
	return f.holdingBy(ctx, (*nftconn.Conn).ListTables, o, r)
}

func (f *Filter) holdingBy(ctx context.Context, list lister, o owner.Owner, r firewall.Role) (tools []*tool, err error) {
	k, err := f.lookBy(list)
	if err != nil {
		return nil, err
	}
	defer k.close()
	n, named := namesOf(o)
	for _, p := range places() {
		known, err := k.has(ctx, p, "raw", ledgerChain(o, r))
		there := known
		if err == nil && !there && named {
			there, err = k.has(ctx, p, "nat", n.chains(r)...)
		}
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		t, err := f.find(ctx, p.family, p.flavour)
		if err != nil {
			return nil, err
		}
		if known {
			tools = append(tools, t)
		} else {
			tools = slices.Insert(tools, 0, t)
		}
	}
	return tools, nil
}

// chains returns the names of the chains that an attachment may have in the role.
func (n names) chains(r firewall.Role) []string {
	if r == firewall.Publish {
		return []string{n.dnatChain(), n.oldChain()}
	}
	return []string{n.masqChain()}
}

// attempts is how often what others changed between a look and what follows from it makes us look again.
const attempts = 5

// again tries until nothing fails, or what failed is none of what may be otherwise after another look.
func again(ctx context.Context, try func() (looks bool, err error)) (err error) {
	for range attempts {
		var looks bool
		if looks, err = try(); err == nil || !looks || ctx.Err() != nil {
			break
		}
	}
	return err
}

// lost says whether the tool lost to others: what a line named had gone, or had come, when it read or wrote. Its exit statuses are those of xtables_exittype
// (include/xtables.h in iptables): by 1 it says so of the chain, the place or the rule of a line, by 2 of the chain that a rule leads to, which the legacy flavour takes for
// a target of a library, and by 4 what the kernel has refused.
func lost(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	said := func(text string) bool { return strings.Contains(err.Error(), text) }
	switch exit.ExitCode() {
	case 1:
		return said(": line ")
	case 2:
		return said("does not exist") || said("load target")
	}
	return exit.ExitCode() == 4
}

// dropIn drops the claim in one family and flavour.
func (f *Filter) dropIn(ctx context.Context, lock *os.File, t *tool, o owner.Owner, c firewall.Claim) error {
	return again(ctx, func() (looks bool, err error) {
		s, err := t.load(ctx)
		if err != nil {
			return false, err
		}
		if n, named := namesOf(s.known(o)); named {
			f.drop(s, o, n, part(t.family, c))
		} else {
			dissolve(s.raw, &s.toRaw, ledgerChain(o, c.Role))
		}
		return true, s.removed(ctx, lock)
	})
}

// known returns the owner as the ledger has it, where its own text is not whole: a tag from elsewhere may have been cut short.
func (s *state) known(o owner.Owner) owner.Owner {
	if _, known := namesOf(o); known {
		return o
	}
	for _, e := range s.entries {
		if e.ID == o.ID {
			return e.Owner
		}
	}
	return o
}

// drop notes what goes.
func (f *Filter) drop(s *state, o owner.Owner, n names, c firewall.Claim) {
	if c.Role == firewall.Publish {
		s.dropPublish(o, n, c, f.options)
	} else {
		s.dropMasq(o, n, c)
	}
	dissolve(s.raw, &s.toRaw, ledgerChain(o, c.Role))
}
