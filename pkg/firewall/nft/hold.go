package nft

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Hold reads every key of the claim, and adds what is missing in one transaction.
func (f *Filter) Hold(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (created bool, err error) {
	w, err := parse(o, c)
	if err != nil || len(w.entries) == 0 {
		return false, err
	}
	defer f.lock()()
	dead = remembered(dead)
	err = f.amend(ctx, w.table, false, func() ([]change, error) {
		changes, err := f.holdChanges(w, dead)
		created = len(changes) > 0
		return changes, err
	})
	return created && err == nil, err
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

// holdChanges is what is missing to the claim, and what the owner holds beyond it.
func (f *Filter) holdChanges(w *want, dead func(firewall.Holder) bool) (changes []change, err error) {
	for _, l := range w.locals {
		missing, err := f.localChanges(l)
		if err != nil {
			return nil, err
		}
		changes = append(changes, missing...)
	}
	held, counted := 0, 0
	for i, e := range w.all() {
		found, err := f.find(e.set, e.key)
		if err != nil {
			return nil, err
		}
		switch {
		case i == 0:
			counted, _ = w.counted(found)
		case belongs(found, w.owner):
			held++
		}
		missing, err := f.settle(w, e, found, dead)
		if err != nil {
			return nil, err
		}
		changes = append(changes, missing...)
	}
	if held == counted {
		return changes, nil
	}
	stale, err := f.stale(w)
	return append(changes, stale...), err
}

// settle returns what must change for one element to be there.
func (f *Filter) settle(w *want, e entry, found *nftables.SetElement, dead func(firewall.Holder) bool) ([]change, error) {
	wanted := nftables.SetElement{Key: e.key, Val: e.val, Comment: w.owner.Tag(owner.CommentRoom)}
	switch {
	case found == nil:
		return []change{add(e.set, wanted)}, nil
	case belongs(found, w.owner) && bytes.Equal(found.Val, e.val):
		return nil, nil
	case belongs(found, w.owner), dying(found):
		return []change{remove(e.set, *found), add(e.set, wanted)}, nil
	}
	holder, ours, err := f.holder(w, found)
	if err != nil {
		return nil, err
	}
	if ours && dead(holder) {
		return []change{remove(e.set, *found), add(e.set, wanted)}, nil
	}
	if !ours {
		return nil, fault.New(fault.Taken, "delete the element, which is none of ours: see nft list table "+w.table.String(),
			"%s: held by an element of set %s with the comment %q", e.title, e.set.Name, found.Comment)
	}
	return nil, fault.New(fault.Taken, "delete that attachment, or ask for something else", "%s: held by %s", e.title, holder.Text)
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

// counted returns the number of elements in the owner's attachment, and whether it has one.
func (w *want) counted(attachment *nftables.SetElement) (n int, there bool) {
	if !belongs(attachment, w.owner) || len(attachment.Val) != 2 {
		return 0, false
	}
	return int(binary.BigEndian.Uint16(attachment.Val) &^ linked), true
}

func isLinked(attachment *nftables.SetElement) bool {
	return len(attachment.Val) == 2 && binary.BigEndian.Uint16(attachment.Val)&linked != 0
}

// stale is what the owner holds in the role and does not want.
func (f *Filter) stale(w *want) ([]change, error) {
	held, err := f.scan(w)
	if err != nil {
		return nil, err
	}
	var changes []change
	for _, e := range held {
		if !w.wants(e) {
			changes = append(changes, remove(e.set, e.SetElement))
		}
	}
	return changes, nil
}

// wants says whether the claim has an element under the same key.
func (w *want) wants(found element) bool {
	return slices.ContainsFunc(w.entries, func(e entry) bool { return e.set == found.set && bytes.Equal(e.key, found.Key) })
}
