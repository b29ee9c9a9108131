// Package pool is the addresses that hosts share, cut into blocks: which block is which prefix, what host-local is told of one, and where a host begins
// to look for a free one. It is arithmetic, and knows no store.
package pool

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Family is 4 or 6.
type Family uint8

// Families are both, in the order in which they stand everywhere.
var Families = [...]Family{4, 6}

// ID names a block: its family, and its place among the blocks of the pool's CIDRs in their order.
type ID struct {
	Family Family
	Index  uint32
}

// String is the ID as it stands in a key: of one width, so that keys sort as blocks do, and one spelling for each block.
func (id ID) String() string { return fmt.Sprintf("%d/%08x", id.Family, id.Index) }

// ParseID reads what String wrote, and no other spelling.
func ParseID(text string) (ID, error) {
	if len(text) == 10 && (text[0] == '4' || text[0] == '6') && text[1] == '/' {
		index, err := strconv.ParseUint(text[2:], 16, 32)
		if id := (ID{Family(text[0] - '0'), uint32(index)}); err == nil && id.String() == text {
			return id, nil
		}
	}
	return ID{}, fmt.Errorf("block %q: must be as in 4/0000002a", text)
}

// MarshalText is String, for JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseID, for JSON.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// Compare orders by family, then by place.
func (id ID) Compare(other ID) int {
	switch {
	case id == other:
		return 0
	case id.Family < other.Family || id.Family == other.Family && id.Index < other.Index:
		return -1
	}
	return 1
}

// FamilyOf is the address's.
func FamilyOf(addr netip.Addr) Family {
	if addr.Is4() {
		return 4
	}
	return 6
}

// Within says whether the prefix lies in one of the others.
func Within(p netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, func(other netip.Prefix) bool { return other.Contains(p.Addr()) && other.Bits() <= p.Bits() })
}

// bits is the length of an address.
func (f Family) bits() int {
	if f == 4 {
		return 32
	}
	return 128
}
