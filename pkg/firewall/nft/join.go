package nft

import (
	"context"
	"fmt"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// An owner may have several claims in a role that is shared. His attachment counts what they want together, and says that they are several: what he has beside a claim
// that is his only one is too much.

// join counts into the attachment what the owner holds beside the claim, by another one of his, and adds to the draft the rules that are missing. It takes what was found
// of all elements; the rest is looked for only where something is missing, or others may have it.
func (f *Filter) join(d *draft, w *want, there []*nftables.SetElement) error {
	counted, attached := w.counted(there[0])
	some, whole := attached, len(w.rules) == 0
	for i, e := range w.entries {
		mine := belongs(there[i+1], w.owner)
		some, whole = some || mine, whole && mine && e.is(there[i+1])
	}
	switch {
	case whole && (counted == w.size() || w.several && counted > w.size()):
		w.count(counted)
		return nil
	case !some && len(w.rules) == 0:
		return nil
	}
	w.several = w.several || attached && counted != w.size() && !w.firm
	return f.joinHeld(d, w)
}

// joinHeld does so by all that the owner holds. Beside a claim that is firm nothing stays.
func (f *Filter) joinHeld(d *draft, w *want) error {
	held, err := f.scan(w, everything)
	if err != nil {
		return err
	}
	beside := 0
	var rules []*nftables.Rule
	for _, e := range held {
		switch {
		case e.rule != nil:
			rules = append(rules, e.rule)
		case w.wants(e):
		case w.firm:
			d.remove(e.set, e.SetElement)
		default:
			beside++
		}
	}
	missing, more, err := f.match(w, rules)
	if w.firm {
		for _, r := range more {
			d.goes = append(d.goes, removeRule(r))
		}
		more = nil
	}
	for _, r := range missing {
		d.comes = append(d.comes, w.addRule(r))
	}
	beside += len(more)
	w.several = w.several || beside > 0
	w.count(w.size() + beside)
	return err
}

// Restore takes back the elements that the last Hold has made, and puts back those that it has taken away. A rule that has conditions stays, until the owner's Drop.
func (f *Filter) Restore(ctx context.Context, o owner.Owner, r firewall.Role) (done bool, err error) {
	w, err := begin(o, r)
	if err != nil {
		return false, err
	}
	defer f.lock()()
	changes, done := f.back[string(w.attachment.key)]
	if !done {
		return false, nil
	}
	delete(f.back, string(w.attachment.key))
	return true, f.amend(ctx, w.table, keep, func() ([]change, error) { return changes, nil })
}

// joins says whether the attachment that was found is of several claims, and has room for this one.
func (w *want) joins(found *nftables.SetElement) bool {
	counted, there := w.counted(found)
	return there && isSeveral(found) && isLinked(found) == w.linked && counted >= w.size()
}

// surplus lists what the owner holds beyond the claim, if it is his only one; of several, whether it is what they have been counted to want.
func (f *Filter) surplus(ctx context.Context, w *want, attachment *nftables.SetElement) (list []string, err error) {
	counted, _ := w.counted(attachment)
	if !w.role.Shared() || counted <= w.size() && !isSeveral(attachment) {
		return f.strays(ctx, w)
	}
	held, err := f.scan(w, everything)
	if isSeveral(attachment) {
		if counted != len(held) && counted < several-1 {
			list = append(list, fmt.Sprintf("%s: expected a count of %d, found %d of %s", w.attachment.title, counted, len(held), w.owner.Text))
		}
		return list, err
	}
	for i := range held {
		if e := &held[i]; e.rule == nil && publishes(e.set.Name) && !w.wants(*e) {
			list = append(list, w.surplusOf(*e))
		}
	}
	return list, err
}
