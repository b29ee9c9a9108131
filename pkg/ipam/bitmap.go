package ipam

import (
	"math/bits"
	"net/netip"
)

// A bitmap is a set of addresses, kept in a table as a tree of blocks of 256 bits. A block of level 0 has a bit for each of the
// 256 addresses that differ in their last byte; a block of level n a bit for each block of level n-1 below it, which is set when
// that one is full. Blocks without a bit are not there. So the next address that is not in the set is found by a step up and a
// step down for each level that is full, at the most 4 for IPv4 and 16 for IPv6, whatever the size of the set.
type bitmap struct {
	*table
	kind byte // of its slots
}

type address [16]byte // of IPv4 as in ::ffff:0:0/96

// block returns the key of the block of this level that the address is in.
func (b bitmap) block(a address, level int) key {
	for i := 15 - level; i < 16; i++ {
		a[i] = 0
	}
	return key{b.kind, byte(level), a}
}

// levels is how many levels an address's family has.
func levels(a netip.Addr) int { return a.BitLen() / 8 }

// add puts the address into the set.
func (b bitmap) add(addr netip.Addr) {
	a := address(addr.As16())
	for level := range levels(addr) {
		s := b.load(a, level)
		set(&s.value, a[15-level], true)
		b.put(s)
		if next(&s.value, 0) < 256 {
			return
		}
	}
}

// remove takes the address out of the set.
func (b bitmap) remove(addr netip.Addr) {
	a := address(addr.As16())
	for level := range levels(addr) {
		s := b.load(a, level)
		wasFull := next(&s.value, 0) == 256
		set(&s.value, a[15-level], false)
		if s.value == [32]byte{} {
			b.table.remove(s.key())
		} else {
			b.put(s)
		}
		if !wasFull {
			return
		}
	}
}

// free returns the first address of the span that is not in the set and not the span's gateway.
func (b bitmap) free(span Span) (netip.Addr, bool) {
	at, ok := b.from(span.From)
	if ok && at == span.Gateway {
		if !at.Less(span.To) {
			return netip.Addr{}, false
		}
		at, ok = b.from(at.Next())
	}
	return at, ok && !span.To.Less(at)
}

// from returns the first address at or after this one that is not in the set.
func (b bitmap) from(addr netip.Addr) (netip.Addr, bool) {
	a := address(addr.As16())
	start := int(a[15])
	for level := range levels(addr) {
		s := b.load(a, level)
		if bit := next(&s.value, start); bit < 256 {
			a = address(s.id)
			a[15-level] = byte(bit)
			b.descend(&a, level)
			out := netip.AddrFrom16(a)
			if addr.Is4() {
				out = out.Unmap()
			}
			return out, b.err == nil
		}
		if level < 15 {
			start = int(a[14-level]) + 1
		}
	}
	return netip.Addr{}, false
}

// descend completes the address of a block that is not full with its first address that is not in the set.
func (b bitmap) descend(a *address, level int) {
	for level--; level >= 0; level-- {
		s := b.load(*a, level)
		a[15-level] = byte(next(&s.value, 0))
	}
}

func (b bitmap) load(a address, level int) slot {
	k := b.block(a, level)
	if s, ok := b.get(k); ok {
		return s
	}
	return slot{kind: k.kind, part: k.part, id: k.id}
}

func set(bitmap *[32]byte, bit byte, on bool) {
	if on {
		bitmap[bit/8] |= 1 << (bit % 8)
	} else {
		bitmap[bit/8] &^= 1 << (bit % 8)
	}
}

// next returns the first bit from start on that is not set; 256 when all are.
func next(bitmap *[32]byte, start int) int {
	for i := start; i < 256; i = i/8*8 + 8 {
		if rest := ^bitmap[i/8] >> (i % 8); rest != 0 {
			return i + bits.TrailingZeros8(rest)
		}
	}
	return 256
}
