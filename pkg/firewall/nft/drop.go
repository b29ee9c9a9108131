package nft

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Drop reads the keys of the claim; where the attachment counts more than these, it scans the role's sets as well. An owner
// whose attachment is absent holds nothing, as both are written and removed in one transaction. What expires is found by packets for one more tick of
// the kernel's clock; what is deleted, as the claim may ask, is not.
func (f *Filter) Drop(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	w, err := parse(o, c)
	if err != nil {
		// A configuration that became wrong must not keep what it once made: the owner is enough.
		if w, err = begin(o, c.Role); err != nil {
			return err
		}
	}
	defer f.lock()()
	seen, none, err := f.glance(w)
	if err != nil || none {
		return explain(err)
	}
	left, err := f.drop(ctx, w, seen, f.deletes || c.Promptly)
	if err != nil || !left {
		return err
	}
	f.deletes = true
	_, err = f.drop(ctx, w, nil, true)
	return err
}

// glance says that the owner of a claim without values has nothing in the role, at the price of one request where others were looked at before; or
// returns its attachment.
func (f *Filter) glance(w *want) (attachment *nftables.SetElement, none bool, err error) {
	if !w.empty() {
		return nil, false, nil
	}
	if err := f.connect(); err != nil {
		return nil, false, err
	}
	tables, err := f.conn.Tables()
	if err != nil || !slices.ContainsFunc(tables, w.table.is) {
		return nil, true, err
	}
	attachment, err = f.find(w.attachment.set, w.attachment.key)
	return attachment, !belongs(attachment, w.owner) && !f.strayed[w.owner.ID], err
}

// drop removes what the owner holds, and says whether the kernel left it as it was. The attachment may have been seen already; if somebody else drops it
// meanwhile, what it counts is not there either.
func (f *Filter) drop(ctx context.Context, w *want, seen *nftables.SetElement, deletes bool) (left bool, err error) {
	vanish := expire
	if deletes {
		vanish = remove
	}
	var held []element
	err = f.amend(ctx, w.table, keep, func() (changes []change, err error) {
		held, err = f.heldBy(w, seen)
		seen = nil
		for _, e := range held {
			if e.rule != nil {
				changes = append(changes, removeRule(e.rule))
			} else {
				changes = append(changes, vanish(e.set, e.SetElement))
			}
		}
		return changes, err
	})
	if err != nil || deletes {
		return false, err
	}
	for _, e := range slices.Backward(held) { // the attachment, where there is one
		if e.set != nil {
			found, err := f.find(e.set, e.Key)
			return belongs(found, w.owner), explain(err)
		}
	}
	return false, nil
}

// held is what the owner holds in the role.
func (f *Filter) held(w *want) ([]element, error) { return f.heldBy(w, nil) }

func (f *Filter) heldBy(w *want, attachment *nftables.SetElement) (held []element, err error) {
	if attachment == nil {
		if attachment, err = f.find(w.attachment.set, w.attachment.key); err != nil {
			return nil, err
		}
	}
	there, err := f.lookAll(w.entries)
	if err != nil {
		return nil, err
	}
	for i, e := range w.entries {
		found := there[i]
		if belongs(found, w.owner) && bytes.Equal(found.Key, e.key) {
			held = append(held, element{set: e.set, SetElement: *found})
		}
	}
	count, attached := w.counted(attachment)
	if !attached && f.strayed[w.owner.ID] {
		return f.scan(w, everything)
	}
	if !attached {
		return held, nil
	}
	if len(held) != count {
		if held, err = f.scan(w, count); err != nil {
			return nil, err
		}
	}
	if !isLinked(attachment) && w.role.Shared() {
		life, err := f.lifeOf(w)
		if err != nil {
			return nil, err
		}
		if life != nil {
			held = append(held, element{set: w.attachment.set, SetElement: *life})
		}
	}
	return append(held, element{set: w.attachment.set, SetElement: *attachment}), nil
}
