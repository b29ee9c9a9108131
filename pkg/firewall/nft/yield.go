package nft

import (
	"encoding/binary"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// count writes into the attachment how many elements and rules there are.
func (w *want) count() {
	w.attachment.val = binary.BigEndian.AppendUint16(nil, tally(len(w.entries)+len(w.rules), w.linked))
}

// yield leaves a port to whoever has it where that is the same container by another network, to which a runtime gives the same ports: the first keeps it, as in the
// reference. It takes what was found of all elements, and returns what was found of the rest.
func (w *want) yield(found []*nftables.SetElement) []*nftables.SetElement {
	entries, rest := w.entries[:0:0], found[:1:1]
	for i, e := range w.entries {
		has := found[i+1]
		if publishes(e.set.Name) && has != nil && !dying(has) {
			if other, ours := owner.Parse(has.Comment); ours && w.owner.Beside(other) {
				continue
			}
		}
		entries, rest = append(entries, e), append(rest, has)
	}
	if len(entries) < len(w.entries) {
		w.entries = entries
		w.count()
	}
	return rest
}
