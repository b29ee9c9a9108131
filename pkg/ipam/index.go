package ipam

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/trestle-cni/trestle/pkg/digest"
)

// An index answers at constant cost what would take a scan of the directory: what a holder holds, which address is the next
// free one, and which addresses are cooling, released too short a time ago for a neighbour to have forgotten their last owner.
// It is derived from the directory and may be lost or wrong at any time: who relies on an answer looks at the file that it
// speaks of.
//
// Its table has slots of these kinds; addresses are of 16 bytes, IPv4 as in ::ffff:0:0/96:
//
//	kind     part      count      id                            value
//	holder   0, 1...   1 or 2     hash of container and ifname  two of its addresses
//	held     level     -          block                         bitmap of the addresses with a file
//	busy     level     -          block                         bitmap of the same and of those that are cooling
//	cooling  0         -          address                       its number in the queue, when it was released
//	queue    0         -          number                        address
type index struct {
	table
	head, tail uint64 // of the queue of cooling addresses, the oldest first
}

const (
	kindHolder byte = iota + 1
	kindHeld
	kindBusy
	kindCooling
	kindQueue
)

func (x *index) held() bitmap { return bitmap{&x.table, kindHeld} }
func (x *index) busy() bitmap { return bitmap{&x.table, kindBusy} }

func holderKey(h Holder, part int) key {
	sum := digest.SHA256(h.encode())
	return key{kindHolder, byte(part), [16]byte(sum[:16])}
}

// of returns the addresses of the holder.
func (x *index) of(h Holder) []netip.Addr {
	var addrs []netip.Addr
	for part := range 256 {
		s, ok := x.get(holderKey(h, part))
		if !ok {
			break
		}
		for i := range min(int(s.count), 2) {
			addrs = append(addrs, netip.AddrFrom16([16]byte(s.value[16*i:])).Unmap())
		}
	}
	return addrs
}

// setOf records the addresses of the holder, 512 at the most: who holds more is not indexed.
func (x *index) setOf(h Holder, addrs []netip.Addr) {
	part := 0
	for ; len(addrs) > 0 && part < 256; part++ {
		k := holderKey(h, part)
		s := slot{kind: k.kind, part: k.part, id: k.id, count: byte(min(len(addrs), 2))}
		for i := range int(s.count) {
			a := addrs[i].As16()
			copy(s.value[16*i:], a[:])
		}
		x.put(s)
		addrs = addrs[s.count:]
	}
	for ; part < 256; part++ {
		if _, ok := x.get(holderKey(h, part)); !ok {
			break
		}
		x.remove(holderKey(h, part))
	}
}

// add records a reservation. An unknown holder's address is taken, but nobody's.
func (x *index) add(r Reservation) {
	x.held().add(r.Addr)
	x.busy().add(r.Addr)
	x.remove(coolingKey(r.Addr)) // its number in the queue means nothing from now on
	if r.Holder.Unknown() {
		return
	}
	addrs := x.of(r.Holder)
	for _, addr := range addrs {
		if addr == r.Addr {
			return
		}
	}
	x.setOf(r.Holder, append(addrs, r.Addr))
}

// drop records that a reservation was released now, and its address is cooling.
func (x *index) drop(r Reservation, now time.Duration) {
	x.held().remove(r.Addr)
	x.cool(r.Addr, now)
	var left []netip.Addr
	for _, addr := range x.of(r.Holder) {
		if addr != r.Addr {
			left = append(left, addr)
		}
	}
	x.setOf(r.Holder, left)
}

func coolingKey(addr netip.Addr) key { return key{kind: kindCooling, id: addr.As16()} }

func queueKey(number uint64) (k key) {
	k.kind = kindQueue
	binary.LittleEndian.PutUint64(k.id[:], number)
	return k
}

func (x *index) cool(addr netip.Addr, released time.Duration) {
	x.busy().add(addr)
	s := slot{kind: kindCooling, id: addr.As16()}
	binary.LittleEndian.PutUint64(s.value[:], x.tail)
	binary.LittleEndian.PutUint64(s.value[8:], uint64(released))
	x.put(s)
	q := queueKey(x.tail)
	s = slot{kind: q.kind, id: q.id}
	a := addr.As16()
	copy(s.value[:], a[:])
	x.put(s)
	x.tail++
}

// oldest returns the address at the head of the queue, and when it was released. It says false of an entry that means nothing any
// more: the address has been handed out since.
func (x *index) oldest() (addr netip.Addr, released time.Duration, ok bool) {
	q, ok := x.get(queueKey(x.head))
	if !ok {
		return addr, 0, false
	}
	addr = netip.AddrFrom16([16]byte(q.value[:])).Unmap()
	s, ok := x.get(coolingKey(addr))
	if !ok || binary.LittleEndian.Uint64(s.value[:]) != x.head {
		return addr, 0, false
	}
	return addr, time.Duration(binary.LittleEndian.Uint64(s.value[8:])), true
}

// thaw frees addresses whose cooldown is over, at most limit of them, and says whether there were any. A release in the future was
// recorded in another time namespace (time_namespaces(7)); how long ago it was is not known, so it counts as over.
func (x *index) thaw(now, cooldown time.Duration, limit int) bool {
	thawed := false
	for ; limit > 0 && x.head < x.tail && x.err == nil; limit-- {
		addr, released, ok := x.oldest()
		if rested := now - released; ok && 0 <= rested && rested < cooldown {
			break
		}
		if ok {
			x.busy().remove(addr)
			x.remove(coolingKey(addr))
			thawed = true
		}
		x.remove(queueKey(x.head))
		x.head++
	}
	return thawed
}

// free returns the next free address of the set in the order of round robin: one that is not cooling where there is one.
func (x *index) free(set Set, reserved netip.Addr, now, cooldown time.Duration) (netip.Addr, Range, bool) {
	spans := set.After(reserved)
	const some = 16 // more than a DEL releases, so the queue does not grow for ever
	x.thaw(now, cooldown, some)
	if cooldown <= 0 {
		return firstOf(spans, x.held())
	}
	for {
		if addr, in, ok := firstOf(spans, x.busy()); ok {
			return addr, in, true
		}
		if !x.thaw(now, cooldown, 1<<10) {
			return firstOf(spans, x.held())
		}
	}
}

func firstOf(spans []Span, taken bitmap) (netip.Addr, Range, bool) {
	for _, span := range spans {
		if addr, ok := taken.free(span); ok {
			return addr, span.Range, true
		}
	}
	return netip.Addr{}, Range{}, false
}
