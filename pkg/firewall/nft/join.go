package nft

import (
	"encoding/binary"

	"github.com/google/nftables"
)

// join counts into the attachment what the owner holds beside the claim, by another entry of his list, and returns the rules that are missing. It takes what was found
// of all elements; the rest is looked for only where something is missing, or others may have it.
func (f *Filter) join(w *want, there []*nftables.SetElement) (missing []rule, err error) {
	some, whole := belongs(there[0], w.owner), len(w.rules) == 0
	counted, _ := w.counted(there[0])
	for i, e := range w.entries {
		mine := belongs(there[i+1], w.owner)
		some, whole = some || mine, whole && mine && e.is(there[i+1])
	}
	if whole && counted >= len(w.entries) {
		w.attachment.val = binary.BigEndian.AppendUint16(nil, tally(counted, w.linked))
		return nil, nil
	}
	if !some && len(w.rules) == 0 {
		return nil, nil
	}
	held, err := f.scan(w, everything)
	if err != nil {
		return nil, err
	}
	beside := 0
	var rules []*nftables.Rule
	for _, e := range held {
		switch {
		case e.rule != nil:
			rules = append(rules, e.rule)
		case !w.wants(e):
			beside++
		}
	}
	missing, more, err := f.match(w, rules)
	w.attachment.val = binary.BigEndian.AppendUint16(nil, tally(len(w.entries)+len(w.rules)+beside+len(more), w.linked))
	return missing, err
}

// joins says whether the attachment that was found has room for the claim, beside others of the owner's.
func (w *want) joins(found *nftables.SetElement) bool {
	counted, there := w.counted(found)
	return there && w.role.Shared() && isLinked(found) == w.linked && counted >= len(w.entries)+len(w.rules)
}
