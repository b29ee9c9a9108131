package nft

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/google/nftables"
)

// local is a range of traffic that stays inside: from a subnet to a destination. It belongs to nobody, because the attachments of a
// network share it. One that is left over does no harm; Unground removes it.
type local struct {
	set        *nftables.Set
	start, end []byte // subnet . destination, from the lowest addresses to the highest
}

// keepLocal adds the subnet's traffic to itself, unless it is there.
func (w *want) keepLocal(subnet netip.Prefix) {
	low, high := subnet.Addr().AsSlice(), last(subnet).AsSlice()
	l := local{w.table.set(pick(subnet.Addr(), "local4", "local6")), append(low, low...), append(high, high...)}
	if !slices.ContainsFunc(w.locals, func(other local) bool {
		return other.set == l.set && bytes.Equal(other.start, l.start) && bytes.Equal(other.end, l.end)
	}) {
		w.locals = append(w.locals, l)
	}
}

// inside says whether the range a to b lies in the range from to to, in each of the two fields of a key.
func inside(a, b, from, to []byte) bool {
	half := len(a) / 2
	if len(b) != len(a) || len(from) != len(a) || len(to) != len(a) {
		return false
	}
	for _, field := range [][2]int{{0, half}, {half, 2 * half}} {
		i, j := field[0], field[1]
		if bytes.Compare(a[i:j], from[i:j]) < 0 || bytes.Compare(b[i:j], to[i:j]) > 0 {
			return false
		}
	}
	return true
}

// covered asks the kernel, in constant time, for the range that the local one begins in.
func (f *Filter) covered(l local) (bool, error) {
	found, err := f.find(l.set, l.start)
	return found != nil && inside(l.start, l.end, found.Key, found.KeyEnd), err
}

// localChanges adds a range unless it is covered. Smaller ones inside it go: the kernel refuses ranges that overlap.
func (f *Filter) localChanges(l local) ([]change, error) {
	if done, err := f.covered(l); done || err != nil {
		return nil, err
	}
	all, err := f.dump(l.set)
	if err != nil {
		return nil, err
	}
	var changes []change
	for _, other := range all {
		if inside(l.start, l.end, other.Key, other.KeyEnd) {
			return nil, nil
		}
		if inside(other.Key, other.KeyEnd, l.start, l.end) {
			changes = append(changes, remove(l.set, other))
		}
	}
	return append(changes, add(l.set, nftables.SetElement{Key: l.start, KeyEnd: l.end})), nil
}
