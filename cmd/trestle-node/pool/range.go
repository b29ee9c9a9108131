package pool

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
)

// Range is one of host-local's: what it hands out of a block.
type Range struct {
	Subnet     netip.Prefix `json:"subnet"`
	RangeStart netip.Addr   `json:"rangeStart,omitzero"`
	RangeEnd   netip.Addr   `json:"rangeEnd,omitzero"`
	Gateway    netip.Addr   `json:"gateway,omitzero"`
}

// Range is what host-local is told of the block: of a routed pool a subnet with its first address for the gateway; of a flat one a part of its
// subnet, without the subnet's own and its broadcast address. False where the pool has no such block, or nothing of it can be handed out.
func (d Definition) Range(id ID) (Range, bool) {
	prefix, ok := d.Prefix(id)
	if !ok || d.Shape == Routed {
		return Range{Subnet: prefix, Gateway: prefix.Addr().Next()}, ok
	}
	cidr, _, _ := d.find(id)
	subnet := d.subnet(cidr)
	r := Range{Subnet: subnet, RangeStart: prefix.Addr(), RangeEnd: last(prefix), Gateway: d.gateway(subnet)}
	if r.RangeStart == subnet.Addr() {
		r.RangeStart = r.RangeStart.Next()
	}
	if id.Family == 4 && r.RangeEnd == last(subnet) {
		r.RangeEnd = r.RangeEnd.Prev()
	}
	return r, true
}

func (d Definition) gateway(subnet netip.Prefix) netip.Addr {
	for _, gateway := range d.Gateways {
		if subnet.Contains(gateway) {
			return gateway
		}
	}
	return subnet.Addr().Next()
}

// Addresses is how many containers the block has room for, as far as the smallest int goes.
func (d Definition) Addresses(id ID) int {
	r, ok := d.Range(id)
	if !ok {
		return 0
	}
	first, end := r.RangeStart, r.RangeEnd
	if d.Shape == Routed {
		first, end = r.Subnet.Addr().Next(), last(r.Subnet)
		if id.Family == 4 {
			end = end.Prev()
		}
	}
	high, low := sub(end, first)
	if high > 0 || low >= math.MaxInt32 {
		return math.MaxInt32
	}
	n := int(low) + 1
	if !r.Gateway.Less(first) && !end.Less(r.Gateway) {
		n--
	}
	return n
}

// add is addr + n<<shift.
func add(addr netip.Addr, n uint64, shift int) netip.Addr {
	high, low := halves(addr)
	var plus [2]uint64 // high, low
	if shift >= 64 {
		plus[0] = n << (shift - 64)
	} else {
		plus[0], plus[1] = n>>(64-shift), n<<shift
	}
	low, carry := bits.Add64(low, plus[1], 0)
	high, _ = bits.Add64(high, plus[0], carry)
	return join(high, low, addr.Is4())
}

// distance is (to - from) >> shift, of an address in the same CIDR.
func distance(from, to netip.Addr, shift int) uint32 {
	high, low := sub(to, from)
	if shift >= 64 {
		return uint32(high >> (shift - 64))
	}
	return uint32(high<<(64-shift) | low>>shift)
}

func sub(a, b netip.Addr) (high, low uint64) {
	ah, al := halves(a)
	bh, bl := halves(b)
	low, borrow := bits.Sub64(al, bl, 0)
	high, _ = bits.Sub64(ah, bh, borrow)
	return high, low
}

// last is the prefix's last address.
func last(p netip.Prefix) netip.Addr {
	high, low := halves(p.Addr())
	if rest := p.Addr().BitLen() - p.Bits(); rest >= 64 {
		high, low = high|^uint64(0)>>(128-rest), ^uint64(0)
	} else {
		low |= 1<<rest - 1
	}
	return join(high, low, p.Addr().Is4())
}

func halves(addr netip.Addr) (high, low uint64) {
	if addr.Is4() {
		b := addr.As4()
		return 0, uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func join(high, low uint64, is4 bool) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	if is4 {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.AddrFrom16(b)
}
