package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Leave has the filter make nothing again that is gone and is to stay so: a table, a chain, a set, a rule or an element, in the words of Told.What. Nobody misses it
// then. What is there stays, whatever is said of it. It is asked by several at once.
func (f *Filter) Leave(left firewall.Left) { f.left = left }

// abandoned says whether a table is not there, and is left so.
func (f *Filter) abandoned(t *table) (bool, error) {
	if !f.left.Has(t.named().Whole()) {
		return false, nil
	}
	if err := f.connect(); err != nil {
		return false, explain(err)
	}
	there, err := f.exists(t)
	return !there, explain(err)
}

// leavesElement says whether an element that is gone is left so.
func (f *Filter) leavesElement(set *nftables.Set, key []byte) bool {
	if f.left == nil {
		return false
	}
	at := (&table{Table: set.Table}).named()
	return f.left.Has(at.Set(set.Name)) || f.left.Has(at.Element(set.Name, fmt.Sprintf("%x", key)))
}

// spare makes the table one of which nobody misses what is left: a chain however it is, and a rule that is not there.
func (f *Filter) spare(t *table) error {
	if f.left == nil {
		return nil
	}
	at := t.named()
	for _, c := range t.laid() {
		whole := f.left.Has(at.Chain(c.Name))
		leaves := func(r rule) bool { return whole || f.left.Has(at.Rule(firewall.Quoted(r.text), c.Name)) }
		if !whole && !slices.ContainsFunc(c.rules, leaves) {
			continue
		}
		found, err := f.conn.GetRules(t.Table, &c.Chain)
		if err != nil && !misses(err) {
			return err
		}
		rules := slices.DeleteFunc(slices.Clone(c.rules), func(r rule) bool { return leaves(r) && !t.among(r, found) })
		if whole && (err != nil || len(rules) < len(c.rules)) {
			c.left, rules = true, nil
		}
		c.rules = rules
	}
	return nil
}

// among says whether a rule is one of those.
func (t *table) among(r rule, found []*nftables.Rule) bool {
	return slices.ContainsFunc(found, func(other *nftables.Rule) bool {
		same, err := sameRule(byte(t.Family), r.exprs, other.Exprs)
		return err == nil && same
	})
}

// match is the want's, less the rules that are left as they are.
func (f *Filter) match(w *want, found []*nftables.Rule) (missing []rule, more []*nftables.Rule, err error) {
	missing, more, err = w.match(found)
	return slices.DeleteFunc(missing, func(r rule) bool { return f.leavesRule(w.table, w.dressed(r)) }), more, err
}

// leavesRule says whether a rule of somebody's that is gone is left so.
func (f *Filter) leavesRule(t *table, r *nftables.Rule) bool {
	if f.left == nil {
		return false
	}
	at := t.named()
	return f.left.Has(at.Chain(r.Chain.Name)) || f.left.Has(at.Rule(t.words(r), r.Chain.Name))
}

// leavesAnchor says whether our rule in the chain, or one of the jumps that go with it, is left as it is.
func (f *Filter) leavesAnchor(c foreignChain, comment string) bool {
	at := (&table{Table: c.Table}).named()
	return f.left.Has(at.Rule(firewall.Quoted(comment), "FORWARD")) && !slices.ContainsFunc(c.rules, func(r *nftables.Rule) bool { return told(r, comment) })
}
