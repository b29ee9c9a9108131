package nft

import (
	"encoding/binary"

	"github.com/google/nftables"
)

// linked is the bit of an attachment's value that says firewall.Claim.Linked, several the one that says that the owner has more than one claim in the role; the rest is the
// number of elements.
const (
	linked  = 1 << 15
	several = 1 << 14
)

// size is the number of elements and rules that are wanted.
func (w *want) size() int { return len(w.entries) + len(w.rules) }

// count writes into the attachment how many elements and rules the owner has. Where the number does not fit, it is one that is never counted, and a Drop scans.
func (w *want) count(n int) {
	value := uint16(min(n, several-1))
	if w.linked {
		value |= linked
	}
	if w.several {
		value |= several
	}
	w.attachment.val = binary.BigEndian.AppendUint16(nil, value)
}

// counted returns the number of elements in the owner's attachment, and whether it has one.
func (w *want) counted(attachment *nftables.SetElement) (n int, there bool) {
	if !belongs(attachment, w.owner) || len(attachment.Val) != 2 {
		return 0, false
	}
	return int(binary.BigEndian.Uint16(attachment.Val) &^ (linked | several)), true
}

func isLinked(attachment *nftables.SetElement) bool  { return says(attachment, linked) }
func isSeveral(attachment *nftables.SetElement) bool { return says(attachment, several) }

func says(attachment *nftables.SetElement, bit uint16) bool {
	return attachment != nil && len(attachment.Val) == 2 && binary.BigEndian.Uint16(attachment.Val)&bit != 0
}
