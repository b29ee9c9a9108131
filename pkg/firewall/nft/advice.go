package nft

import (
	"errors"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// The operator's chains. What is in them is his: it is asked, and never changed. So a table with such chains is mended chain by chain, and one in which
// any of them has a rule stays. Only where a set is not of the type that it must be is the table built anew, with those rules read and written again.

// free says whether a chain of the table has whatever rules the operator, or a configuration, puts there.
func (t *table) free(chain string) bool {
	return t.guests && (chain == firewall.AdminChain || chain == guests)
}

// own says whether the rules of the chain are ours alone.
func (t *table) own(name string) bool {
	return !t.free(name) && slices.ContainsFunc(t.laid(), func(c *chain) bool { return c.Name == name })
}

// refit makes the chains whole, and adds the sets that are missing. It cannot where the table sleeps, or a set is another.
func (f *Filter) refit(t *table) (changes []change, can bool, err error) {
	tables, err := f.conn.ListTablesOfFamily(t.Family)
	asleep := slices.ContainsFunc(tables, func(other *nftables.Table) bool { return t.is(other) && other.Flags&nftables.TableFlagDormant != 0 })
	if err != nil || asleep {
		return nil, false, err
	}
	sets, err := f.conn.GetSets(t.Table)
	if err != nil {
		return nil, false, err
	}
	for _, want := range t.sets {
		i := slices.IndexFunc(sets, func(s *nftables.Set) bool { return s.Name == want.Name })
		switch {
		case i < 0:
			changes = append(changes, func(c *nftables.Conn) error { return c.AddSet(want, nil) })
		case describe(want) != describe(sets[i]) || want.Name == attachments && versionOf(sets[i]) != version:
			return nil, false, nil
		}
	}
	chains, err := f.chainsOf(t)
	return append(changes, t.rechain(chains)), true, err
}

// rechain empties the table's own chains, and makes them anew; so too those with a hook that are none of it.
func (t *table) rechain(there map[string]*nftables.Chain) change {
	return func(c *nftables.Conn) error {
		for name, found := range there {
			if t.own(name) || found.Hooknum != nil {
				c.FlushChain(found)
			}
		}
		for _, found := range there {
			if found.Hooknum != nil {
				c.DelChain(found)
			}
		}
		for _, each := range t.laid() {
			c.AddChain(&each.Chain)
			for _, r := range each.rules {
				c.AddRule(&nftables.Rule{Table: t.Table, Chain: &each.Chain, Exprs: r.exprs})
			}
		}
		return nil
	}
}

// adviceRules are all rules of chains without a hook that are not ours alone.
func (f *Filter) adviceRules(t *table) (rules []*nftables.Rule, err error) {
	chains, err := f.chainsOf(t)
	if err != nil {
		return nil, err
	}
	for name, c := range chains {
		if c.Hooknum != nil || t.own(name) {
			continue
		}
		found, err := f.conn.GetRules(t.Table, c)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, err
		}
		rules = append(rules, found...)
	}
	return rules, nil
}

// advised says whether the operator has any rule in the table, or a bridge is isolated: then it stays though nobody holds anything.
func (f *Filter) advised() (bool, error) {
	t := forward()
	rules, err := f.adviceRules(t)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(rules, func(r *nftables.Rule) bool { return r.Chain.Name != guests }) {
		return true, nil
	}
	links, err := f.dump(t.set("isolated"))
	return len(links) > 0, err
}

// chainsOf returns the chains of the table by their names.
func (f *Filter) chainsOf(t *table) (map[string]*nftables.Chain, error) {
	all, err := f.conn.ListChainsOfTableFamily(t.Family)
	found := make(map[string]*nftables.Chain)
	for _, c := range all {
		if c.Table.Name == t.Name {
			found[c.Name] = c
		}
	}
	return found, err
}

// introduce adds to the changes what makes the operator's chain that the claim names, and has it asked, if that is not so.
func (f *Filter) introduce(w *want, changes []change) ([]change, error) {
	missing, err := f.unasked(w)
	if err != nil || !missing {
		return changes, err
	}
	chain, from := &nftables.Chain{Name: w.admin, Table: w.table.Table}, &nftables.Chain{Name: guests, Table: w.table.Table}
	return append(changes, func(c *nftables.Conn) error {
		c.AddChain(chain)
		c.AddRule(&nftables.Rule{Table: chain.Table, Chain: from, Exprs: jump(chain.Name)})
		return nil
	}), nil
}

// unasked says whether nothing leads to the operator's chain that the claim names.
func (f *Filter) unasked(w *want) (bool, error) {
	if w.admin == "" || w.admin == firewall.AdminChain {
		return false, nil
	}
	rules, err := f.conn.GetRules(w.table.Table, &nftables.Chain{Name: guests, Table: w.table.Table})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return false, err
	}
	return !slices.ContainsFunc(rules, func(r *nftables.Rule) bool {
		return slices.ContainsFunc(r.Exprs, func(e expr.Any) bool { v, ok := e.(*expr.Verdict); return ok && v.Chain == w.admin })
	}), nil
}
