package attach

import (
	"net"
	"net/netip"
)

// Prefix is an address of a CNI result as planners work with it, host bits kept; the zero Prefix if n is none. An IPv4 address mapped into
// IPv6 is IPv4.
func Prefix(n net.IPNet) netip.Prefix {
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}
	}
	addr = addr.Unmap()
	if addr.Is4() && bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(addr, ones)
}

// IPNet is p as a CNI result has it, host bits kept.
func IPNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
