// Package ipam hands out addresses: ranges and their order (pure arithmetic), and the store that remembers on disk who holds
// which address, in the layout of the reference's host-local.
package ipam

import (
	"net/netip"
)

// Range is an interval of one subnet from which addresses are handed out. All of its addresses are of one family, and Start is
// not above End.
type Range struct {
	Subnet  netip.Prefix // masked, at most /30 or /126
	Start   netip.Addr   // the first address, in Subnet
	End     netip.Addr   // the last one, in Subnet
	Gateway netip.Addr   // never handed out
}

// Whole returns the range that a subnet stands for when nothing else is said: the gateway is the first address after the
// network's own; IPv4 ends before the broadcast address, IPv6, which has none, with the subnet's last address.
func Whole(subnet netip.Prefix) Range {
	first := subnet.Masked().Addr().Next()
	end := last(subnet)
	if end.Is4() {
		end = end.Prev()
	}
	return Range{Subnet: subnet, Start: first, End: end, Gateway: first}
}

// last returns the address of the prefix whose host bits are all ones.
func last(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// Contains says whether the address lies between Start and End.
func (r Range) Contains(addr netip.Addr) bool {
	return addr.BitLen() == r.Start.BitLen() && !addr.Less(r.Start) && !r.End.Less(addr)
}

// Overlaps says whether an address lies in both ranges. The same subnet may be divided among several.
func (r Range) Overlaps(o Range) bool {
	return r.Contains(o.Start) || o.Contains(r.Start)
}

func (r Range) String() string { return r.Start.String() + "-" + r.End.String() }
