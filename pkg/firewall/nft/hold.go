package nft

import (
	"bytes"
	"context"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Hold reads every key of the claim, and adds what is missing in one transaction.
func (f *Filter) Hold(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (created bool, err error) {
	w, err := parse(o, c)
	if err != nil || w.empty() {
		return false, err
	}
	defer f.lock()()
	if left, err := f.abandoned(w.table); left || err != nil {
		return false, err
	}
	if memory := f.memoryOf(w.role); memory != "" {
		if _, err := f.seeTo(ctx, w.table, memory); err != nil {
			return false, err
		}
	}
	dead = remembered(dead)
	err = f.amend(ctx, w.table, keep, func() ([]change, error) {
		changes, err := f.holdChanges(w, dead)
		if err == nil {
			changes, err = f.introduce(w, changes)
		}
		created = len(changes) > 0
		return changes, err
	})
	if created = created && err == nil; created {
		firewall.Tell(ctx, w.hidden)
	}
	return created, err
}

// memoryOf is where the table of the role is remembered to be whole, if nobody but who claims in it sees to that.
func (f *Filter) memoryOf(r firewall.Role) string {
	return map[firewall.Role]string{firewall.Forward: f.memory.forward, firewall.Isolate: f.memory.apart}[r]
}

// remembered asks about each owner once, however many of its elements are in the way and however often we try. Without a question,
// nobody is dead.
func remembered(dead func(firewall.Holder) bool) func(firewall.Holder) bool {
	answers := make(map[owner.ID]bool)
	return func(h firewall.Holder) bool {
		answer, known := answers[h.ID]
		if !known && dead != nil {
			answer = dead(h)
			answers[h.ID] = answer
		}
		return answer
	}
}

// draft is a transaction in the making: what goes, each element once, and after that what comes in its place.
type draft struct {
	gone  map[string]bool
	goes  []change
	comes []change

	unmade, unremoved []change // what takes it back
}

func (d *draft) remove(set *nftables.Set, e nftables.SetElement) {
	name := entry{set: set, key: e.Key, end: e.KeyEnd}.name()
	if !d.gone[name] {
		d.gone[name] = true
		d.goes = append(d.goes, remove(set, e))
		d.unremoved = append(d.unremoved, add(set, nftables.SetElement{Key: e.Key, KeyEnd: e.KeyEnd, Val: e.Val, Comment: e.Comment}))
	}
}

// holdChanges is what is missing to the claim, and what the owner holds beyond it.
func (f *Filter) holdChanges(w *want, dead func(firewall.Holder) bool) ([]change, error) {
	d := &draft{gone: make(map[string]bool)}
	held, counted := 0, 0
	there, err := f.lookAll(w.all())
	if err != nil {
		return nil, err
	}
	w.several = isSeveral(there[0])
	w.firm = w.firm && !w.several
	there = w.yield(there)
	if w.role.Shared() {
		if err = f.join(d, w, there); err != nil {
			return nil, err
		}
	}
	for i, e := range w.all() {
		found := there[i]
		switch {
		case i == 0:
			counted, _ = w.counted(found)
		case belongs(found, w.owner) && bytes.Equal(found.Key, e.key):
			held++
		}
		if err := f.settle(d, w, e, found, dead); err != nil {
			return nil, err
		}
	}
	switch {
	case w.role.Shared():
		err = f.date(d, w)
		if delete(f.back, string(w.attachment.key)); belongs(there[0], w.owner) && len(d.comes) > 0 {
			f.back[string(w.attachment.key)] = append(d.unmade, d.unremoved...)
		}
	case held != counted:
		err = f.forget(d, w, w.wants)
	}
	return append(d.goes, d.comes...), err
}

// settle adds to the draft what must change for one element to be there.
func (f *Filter) settle(d *draft, w *want, e entry, found *nftables.SetElement, dead func(firewall.Holder) bool) error {
	switch {
	case found == nil && f.leavesElement(e.set, e.key):
		return nil
	case found == nil:
	case belongs(found, w.owner) && e.is(found):
		return nil
	case belongs(found, w.owner), dying(found):
		d.remove(e.set, *found)
	default:
		if err := f.takeOver(d, w, e, found, dead); err != nil {
			return err
		}
	}
	d.add(w, e)
	return nil
}

func (d *draft) add(w *want, e entry) {
	o := w.owner
	if e.tells != "" {
		o.Text = e.tells
	}
	element := nftables.SetElement{Key: e.key, KeyEnd: e.end, Val: e.val, Comment: o.Tag(owner.CommentRoom)}
	d.comes, d.unmade = append(d.comes, add(e.set, element)), append(d.unmade, remove(e.set, element))
}

// takeOver removes what a dead owner holds in the role: not the one element alone, since others may be in the way of ours. If the owner
// lives, it is a fault that names it.
func (f *Filter) takeOver(d *draft, w *want, e entry, found *nftables.SetElement, dead func(firewall.Holder) bool) error {
	if w.role == firewall.Forward { // two networks may give out one address, and no rule of the other's is in the way of ours
		d.remove(e.set, *found)
		return nil
	}
	holder, ours, err := f.holder(w, found)
	switch {
	case err != nil:
		return err
	case !ours:
		return fault.New(fault.Taken, "delete the element, which is none of ours: see nft list table "+w.table.String(),
			"%s: held by an element of set %s with the comment %q", e.title, e.set.Name, found.Comment)
	case !dead(holder):
		return firewall.HeldBy(e.title, holder.Text)
	}
	ghost, err := begin(holder.Owner, w.role)
	if err != nil {
		return err
	}
	if attachment, err := f.look(ghost.attachment); err != nil {
		return err
	} else if belongs(attachment, holder.Owner) {
		d.remove(ghost.attachment.set, *attachment)
	}
	return f.forget(d, ghost, func(element) bool { return false })
}

// forget adds to the draft the removal of what the owner of w holds and keep does not want.
func (f *Filter) forget(d *draft, w *want, keep func(element) bool) error {
	held, err := f.scan(w, everything)
	if err != nil {
		return err
	}
	for _, e := range held {
		switch {
		case e.rule != nil:
			d.goes = append(d.goes, removeRule(e.rule))
		case !keep(e):
			d.remove(e.set, e.SetElement)
		}
	}
	return nil
}

// holder returns who holds an element that was found, and whether it has one of ours.
func (f *Filter) holder(w *want, found *nftables.SetElement) (h firewall.Holder, ours bool, err error) {
	if h.Owner, ours = owner.Parse(found.Comment); !ours {
		return h, false, nil
	}
	key := h.Key(string(w.role))
	attachment, err := f.find(w.attachment.set, key[:])
	h.Linked = belongs(attachment, h.Owner) && isLinked(attachment)
	return h, true, err
}

// empty says that nothing is claimed.
func (w *want) empty() bool { return w.size() == 0 }

// wants says whether the claim has an element with the same key, be it with another value.
func (w *want) wants(found element) bool {
	return w.seen[entry{set: found.set, key: found.Key, end: found.KeyEnd}.name()]
}
