package nft

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Ground makes the table inet trestle whole, and of the others those that there are: the first claim in one makes it, because a
// kernel need not have filters for bridges, and a host that needs no such chains is spared them.
func (f *Filter) Ground(ctx context.Context) error {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return explain(err)
	}
	// Who has just looked at the table for frames need not ask again.
	looked := f.looked
	if f.looked = 0; looked != 0 && f.known(looked) {
		return nil
	}
	before, err := f.generation()
	if err != nil {
		return explain(err)
	}
	if f.known(before) {
		return nil
	}
	if err := f.mendAll(ctx); err != nil {
		return err
	}
	now, err := f.generation()
	if err == nil && now == before { // so nothing had to be mended, and nobody changed what we looked at first
		f.note(now)
	}
	return explain(err)
}

func (f *Filter) mendAll(ctx context.Context) error {
	nothing := func() ([]change, error) { return nil, nil }
	if err := f.amend(ctx, inet(), mend, nothing); err != nil {
		return err
	}
	for _, t := range occasional() {
		there, err := f.exists(t)
		if err != nil {
			return explain(err)
		}
		if !there {
			continue
		}
		if err := f.amend(ctx, t, mend, nothing); err != nil {
			return err
		}
	}
	return nil
}

// occasional are the tables that are there once somebody has claimed something in them.
func occasional() []*table { return []*table{bridge(), forward(), apart()} }

// Grounded compares what Ground would make with what is there.
func (f *Filter) Grounded(ctx context.Context) error {
	defer f.lock()()
	var drift []string
	err := f.steady(ctx, func() (sure bool, err error) {
		drift, err = f.driftOnce(inet())
		for _, t := range occasional() {
			there, missing := f.exists(t)
			if err != nil || missing != nil {
				return false, errors.Join(err, missing)
			}
			if there {
				var more []string
				more, err = f.driftOnce(t)
				drift = append(drift, more...)
			}
		}
		return len(drift) == 0, err
	})
	if err != nil {
		return err
	}
	return f.drifted(drift)
}

// drifted is the fault that lists differences, nil for none. Whatever is remembered, there are some.
func (f *Filter) drifted(list []string) error {
	if len(list) == 0 {
		return nil
	}
	f.forgetAll()
	return fault.New(fault.Drift, "find what else changes the ruleset (nft monitor), then delete the attachment and add it again",
		"packet filter: %s", strings.Join(list, "; "))
}

// exists says whether the table is there.
func (f *Filter) exists(t *table) (bool, error) {
	found, err := f.conn.ListTablesOfFamily(t.Family)
	return slices.ContainsFunc(found, t.is), err
}

// foundation is what makes the table whole: nothing; or all of it where it is missing; or, where something differs, all of it anew
// with the elements that it held.
func (f *Filter) foundation(t *table) ([]change, error) {
	drift, err := f.drift(t)
	if err != nil || len(drift) == 0 {
		return nil, err
	}
	there, err := f.exists(t)
	if err != nil || !there {
		return []change{t.build(nil)}, err
	}
	if t.guests {
		if changes, can, err := f.refit(t); can || err != nil {
			return changes, err
		}
	}
	kept, err := f.keep(t)
	if err != nil {
		return nil, err
	}
	rules, err := f.dynamicRules(t)
	changes := []change{t.demolish, t.build(kept)}
	for _, r := range rules {
		changes = append(changes, appendRule(&nftables.Rule{Table: r.Table, Chain: r.Chain, Exprs: r.Exprs, UserData: r.UserData}))
	}
	return changes, err
}

// dynamicRules are those that no table consists of from the beginning, and that go over into one that is built anew.
func (f *Filter) dynamicRules(t *table) ([]*nftables.Rule, error) {
	if t.guests {
		return f.adviceRules(t)
	}
	rules, _, err := f.conditionalRules(t)
	return rules, err
}

// demolish deletes the table with all that is in it.
func (t *table) demolish(c *nftables.Conn) error {
	c.DelTable(t.Table)
	return nil
}

// build makes the table with elements in its sets. The transaction fails where somebody else was faster, so that no rule is ever there
// twice: rules, unlike all else, are not known by a name.
func (t *table) build(elements map[string][]nftables.SetElement) change {
	return func(c *nftables.Conn) error {
		c.CreateTable(t.Table)
		for _, s := range t.sets {
			if err := c.AddSet(s, elements[s.Name]); err != nil {
				return err
			}
		}
		for _, each := range t.laid() {
			c.AddChain(&each.Chain)
		}
		for _, each := range t.laid() {
			for _, r := range each.rules {
				c.AddRule(&nftables.Rule{Table: t.Table, Chain: &each.Chain, Exprs: r.exprs})
			}
		}
		return nil
	}
}

// keep reads the elements of the sets that the old table and the new one have in common. It refuses to replace a newer table.
func (f *Filter) keep(t *table) (map[string][]nftables.SetElement, error) {
	old, err := f.conn.GetSets(t.Table)
	if err != nil {
		return nil, err
	}
	kept := make(map[string][]nftables.SetElement)
	was := version
	for _, s := range old {
		i := slices.IndexFunc(t.sets, func(own *nftables.Set) bool { return own.Name == s.Name })
		if s.Name == attachments && versionOf(s) > version {
			return nil, fault.New(fault.Unsupported, "use the plugins of one release; to go back, drain the node and delete the table",
				"table %s: made by a newer version, v%d; this is v%d", t, versionOf(s), version)
		}
		if i < 0 || describe(s) != describe(t.sets[i]) {
			continue
		}
		if s.Name == attachments {
			was = versionOf(s)
		}
		if kept[s.Name], err = f.dump(t.sets[i]); err != nil {
			return nil, err
		}
	}
	if was == 1 {
		err = f.fromV1(old, kept)
	}
	return kept, err
}
