package nft

import (
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// find returns the element under a key, dying ones included; nil when there is none, or no such set, or no table. The kernel finds
// it in constant time. It answers several keys in one request only up to the first that is absent, so there is one request a key.
func (f *Filter) find(set *nftables.Set, key []byte) (*nftables.SetElement, error) {
	found, err := f.conn.FindSetElements(set, []nftables.SetElement{{Key: key}})
	if err != nil && misses(err) || err == nil && len(found) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// look returns the element under the entry's key; of ranges, the one that the entry would be in the way of.
func (f *Filter) look(e entry) (*nftables.SetElement, error) {
	if e.probe != nil {
		return f.find(e.set, e.probe)
	}
	return f.find(e.set, e.key)
}

// many is from how many elements of one set on it is cheaper to read the set, at a microsecond an element, than each key, at some twenty.
const many = 32

// lookAll returns what look does for each entry, in their order.
func (f *Filter) lookAll(entries []entry) ([]*nftables.SetElement, error) {
	wanted := make(map[*nftables.Set]int)
	for _, e := range entries {
		wanted[e.set]++
	}
	read := make(map[*nftables.Set]map[string]*nftables.SetElement)
	found := make([]*nftables.SetElement, len(entries))
	for i, e := range entries {
		if wanted[e.set] < many || e.probe != nil {
			var err error
			if found[i], err = f.look(e); err != nil {
				return nil, err
			}
			continue
		}
		if read[e.set] == nil {
			all, err := f.conn.GetSetElements(e.set)
			if err != nil && !misses(err) {
				return nil, err
			}
			read[e.set] = make(map[string]*nftables.SetElement, len(all))
			for j := range all {
				read[e.set][string(all[j].Key)] = &all[j]
			}
		}
		found[i] = read[e.set][string(e.key)]
	}
	return found, nil
}

// dump returns the living elements of a set; none when there is no set or no table. It takes about a microsecond an element.
func (f *Filter) dump(set *nftables.Set) ([]nftables.SetElement, error) {
	all, err := f.conn.GetSetElements(set)
	if err != nil && !misses(err) {
		return nil, err
	}
	living := all[:0]
	for _, e := range all {
		if !dying(&e) {
			living = append(living, e)
		}
	}
	return living, nil
}

// dying says whether an element was dropped and is only still to be seen.
func dying(e *nftables.SetElement) bool { return e.Timeout != 0 || e.Expires != 0 }

// belongs says whether an element is the owner's and alive.
func belongs(e *nftables.SetElement, o owner.Owner) bool {
	if e == nil || dying(e) {
		return false
	}
	holder, ours := owner.Parse(e.Comment)
	return ours && holder.ID == o.ID
}

// element is an element that was found, with its set; or a conditional rule.
type element struct {
	set *nftables.Set
	nftables.SetElement
	rule *nftables.Rule
}

// everything is the number of a scan that must look everywhere.
const everything = -1

// scan returns what the owner holds in a role, without the attachment, by looking at every element of the role's sets, and every
// conditional rule. Where it is known how many there are, it ends when it has found as many. The ranges come last, because to read those of
// others takes ten times as long as other elements; mostly those of the owner's own addresses are enough, and they can be asked for.
func (f *Filter) scan(w *want, number int) (held []element, err error) {
	var ranges []*nftables.Set
	for _, name := range w.sets {
		if set := w.table.set(name); set.Interval {
			ranges = append(ranges, set)
		} else if held, err = f.scanSet(held, w, set); err != nil {
			return nil, err
		}
	}
	rules, err := f.rulesOf(w)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		held = append(held, element{rule: r})
	}
	own, err := f.ownRanges(w, ranges, held)
	if err != nil || len(held)+len(own) == number {
		return append(held, own...), err
	}
	for _, set := range ranges {
		if held, err = f.scanSet(held, w, set); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// scanSet appends the owner's elements of a set.
func (f *Filter) scanSet(held []element, w *want, set *nftables.Set) ([]element, error) {
	elements, err := f.dump(set)
	for _, e := range elements {
		if belongs(&e, w.owner) {
			held = append(held, element{set: set, SetElement: e})
		}
	}
	return held, err
}

// ownRanges asks, for each address that the elements are about, for the range in which the address itself is: that of its subnet.
func (f *Filter) ownRanges(w *want, ranges []*nftables.Set, held []element) (own []element, err error) {
	asked := make(map[string]bool)
	for _, e := range held {
		addr := e.address()
		for _, set := range ranges {
			probe := append(addr, addr...)
			if len(addr) == 0 || uint32(len(probe)) != set.KeyType.Bytes || asked[set.Name+string(probe)] {
				continue
			}
			asked[set.Name+string(probe)] = true
			found, err := f.find(set, probe)
			if err != nil {
				return nil, err
			}
			if belongs(found, w.owner) {
				own = append(own, element{set: set, SetElement: *found})
			}
		}
	}
	return own, nil
}

// address returns the container's address that an element is about: a map of ports has it in its values, a set before all else in its keys.
func (e element) address() []byte {
	switch {
	case e.set == nil:
		return nil
	case e.set.IsMap:
		return addressIn(e.Val).Addr().AsSlice()
	case strings.HasSuffix(e.set.Name, "6"):
		return slices.Clone(e.Key[:min(16, len(e.Key))])
	}
	return slices.Clone(e.Key[:min(4, len(e.Key))])
}
