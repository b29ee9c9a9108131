package nft

import (
	"bytes"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// yield leaves a port to whoever has it where that is the same container by another network, to which a runtime gives the same ports, or by an earlier claim: the first keeps
// it, as in the reference. It takes what was found of all elements, and returns what was found of the rest.
func (w *want) yield(found []*nftables.SetElement) []*nftables.SetElement {
	entries, rest := w.entries[:0:0], found[:1:1]
	for i, e := range w.entries {
		if w.yields(e, found[i+1]) {
			delete(w.seen, e.name())
			continue
		}
		entries, rest = append(entries, e), append(rest, found[i+1])
	}
	if len(entries) < len(w.entries) {
		w.entries = entries
		w.count(w.size())
	}
	return rest
}

func (w *want) yields(e entry, has *nftables.SetElement) bool {
	if !publishes(e.set.Name) || has == nil || dying(has) {
		return false
	}
	other, ours := owner.Parse(has.Comment)
	earlier := ours && other.ID == w.owner.ID && !w.firm && !bytes.Equal(has.Val, e.val)
	if earlier {
		w.hidden = append(w.hidden, firewall.LeadsElsewhere(e.title, addressIn(has.Val), addressIn(e.val)))
	}
	return earlier || ours && w.owner.Beside(other)
}
