package nft

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Held compares the claim's elements, and the table that gives them a meaning, with what is there.
func (f *Filter) Held(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	w, err := parse(o, c)
	if err != nil {
		return err
	}
	defer f.lock()()
	if left, err := f.abandoned(w.table); left || err != nil {
		return err
	}
	var list []string
	err = f.steady(ctx, func() (sure bool, err error) {
		list, err = f.differs(ctx, w)
		return len(list) == 0, err
	})
	if err != nil {
		return err
	}
	return f.drifted(list)
}

// differs lists the differences. Where nothing is claimed, what is there is one, unless the owner has it by another entry of his list.
func (f *Filter) differs(ctx context.Context, w *want) (list []string, err error) {
	there, err := f.exists(w.table)
	switch {
	case err != nil || !there && w.empty():
		return nil, err
	case !there:
		return []string{fmt.Sprintf("table %s: expected, found none", w.table)}, nil
	case w.empty():
		attachment, err := f.look(w.attachment)
		if err != nil || belongs(attachment, w.owner) {
			return nil, err
		}
		return f.strays(ctx, w)
	}
	if list, err = f.driftOnce(w.table); err != nil {
		return nil, err
	}
	more, err := f.missing(ctx, w)
	return append(list, more...), err
}

// missing lists the differences between the claim and the elements that are there.
func (f *Filter) missing(ctx context.Context, w *want) (list []string, err error) {
	there, err := f.lookAll(w.all())
	if err != nil {
		return nil, err
	}
	w.firm = !isSeveral(there[0])
	there = w.yield(there)
	for i, e := range w.all() {
		found := there[i]
		if i == 0 && w.joins(found) || belongs(found, w.owner) && e.is(found) || found == nil && f.leavesElement(e.set, e.key) {
			continue
		}
		expected, have := w.show(e.val, w.owner.Text), "nothing"
		if found != nil && !dying(found) {
			have = w.show(found.Val, holderText(found))
		}
		if belongs(found, w.owner) && !bytes.Equal(found.KeyEnd, e.end) {
			have = "another range for " + holderText(found)
		}
		list = append(list, fmt.Sprintf("%s: expected %s, found %s", e.title, expected, have))
	}
	if belongs(there[0], w.owner) {
		more, err := f.surplus(ctx, w, there[0])
		if list = append(list, more...); err != nil {
			return nil, err
		}
	}
	if unasked, err := f.unasked(w); unasked || err != nil {
		return append(list, fmt.Sprintf("chain %s: expected a jump to %s, found none", guests, w.admin)), err
	}
	more, err := f.missingRules(w)
	return append(list, more...), err
}

// missingRules lists those that are wanted and not there, and those beside them.
func (f *Filter) missingRules(w *want) (list []string, err error) {
	if len(w.rules) == 0 {
		return nil, nil
	}
	rules, err := f.rulesOf(w)
	if err != nil {
		return nil, err
	}
	missing, more, err := f.match(w, rules)
	for _, r := range missing {
		list = append(list, fmt.Sprintf("%s: expected a rule of chain %s, found none", r.text, conditionals))
	}
	if len(more) > 0 && w.firm {
		list = append(list, w.tooMany(len(more)))
	}
	return list, err
}

func (w *want) tooMany(rules int) string {
	return fmt.Sprintf("chain %s: found rules of %s too many: %d", conditionals, w.owner.Text, rules)
}

// show puts an element's value and owner into words.
func (w *want) show(value []byte, who string) string {
	switch {
	case len(value) == 2:
		n := binary.BigEndian.Uint16(value)
		return fmt.Sprintf("a count of %d, linked %t, for %s", n&^(linked|several), n&linked != 0, who)
	case len(value) > 0:
		return fmt.Sprintf("%s for %s", addressIn(value), who)
	}
	return "it for " + who
}

func holderText(e *nftables.SetElement) string {
	if o, ours := owner.Parse(e.Comment); ours {
		return o.Text
	}
	return fmt.Sprintf("somebody with the comment %q", e.Comment)
}

// Holds asks for the attachment.
func (f *Filter) Holds(ctx context.Context, o owner.Owner, r firewall.Role) (bool, error) {
	w, err := begin(o, r)
	if err != nil {
		return false, err
	}
	return f.holds(w, o)
}

// HoldsIn says so where it is known which tables there are.
func (f *Filter) HoldsIn(tables []*nftables.Table, o owner.Owner, r firewall.Role) (bool, error) {
	w, err := begin(o, r)
	if err != nil || !slices.ContainsFunc(tables, w.table.is) {
		return false, err
	}
	return f.holds(w, o)
}

func (f *Filter) holds(w *want, o owner.Owner) (bool, error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return false, explain(err)
	}
	found, err := f.find(w.attachment.set, w.attachment.key)
	return belongs(found, o), explain(err)
}

// Owners reads all attachments; of one network, also what bears the mark of somebody who has none, which a Drop of his takes along then.
func (f *Filter) Owners(ctx context.Context, r firewall.Role, network [8]byte) ([]firewall.Holder, error) {
	w, err := begin(owner.Owner{}, r)
	if err != nil {
		return nil, err
	}
	defer f.lock()()
	var holders []firewall.Holder
	err = f.steady(ctx, func() (sure bool, err error) {
		all, err := f.dump(w.attachment.set)
		holders = nil
		for _, e := range all {
			o, ours := owner.Parse(e.Comment)
			if !ours || !o.On(network) {
				continue
			}
			if key := o.Key(string(r)); bytes.Equal(key[:], e.Key) {
				holders = append(holders, firewall.Holder{Owner: o, Linked: isLinked(&e)})
			}
		}
		if err == nil && network != ([8]byte{}) {
			holders, err = f.unattached(w, holders, network)
		}
		return false, err
	})
	order.By(holders, func(a, b firewall.Holder) int { return bytes.Compare(a.ID.Owner[:], b.ID.Owner[:]) })
	return holders, err
}
