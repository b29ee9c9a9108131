package neighbour

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Where things are in a frame: Ethernet's header, then ARP for IPv4 over Ethernet (RFC 826), or IPv6 and ICMPv6 (RFC 4861, section 4.3).
const (
	kindAt = 12
	arpAt  = 14
	arpLen = arpAt + 28

	icmpAt   = 14 + 40
	targetAt = icmpAt + 8
	icmpLen  = targetAt + 16

	solicitation  = 135
	advertisement = 136
)

// question asks all who might have the address, in the name of nobody, so that no table changes: an ARP probe (RFC 5227, section 2.1.1), a neighbour solicitation
// (RFC 4862, section 5.4.2).
func question(mac net.HardwareAddr, addr netip.Addr) []byte {
	if addr.Is4() {
		frame := append(bytes.Repeat([]byte{0xff}, 6), mac...)
		frame = append(frame, unix.ETH_P_ARP>>8, unix.ETH_P_ARP&0xff, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths, a request
		frame = append(append(frame, mac...), make([]byte, 4+6)...)
		return append(frame, addr.AsSlice()...)
	}
	own := addr.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: own[13], 14: own[14], 15: own[15]}
	frame := append([]byte{0x33, 0x33, 0xff, own[13], own[14], own[15]}, mac...)
	frame = append(frame, unix.ETH_P_IPV6>>8, unix.ETH_P_IPV6&0xff, 0x60, 0, 0, 0, 0, icmpLen-icmpAt, unix.IPPROTO_ICMPV6, 255)
	frame = append(append(frame, make([]byte, 16)...), group[:]...)
	frame = append(append(frame, solicitation, 0, 0, 0, 0, 0, 0, 0), own[:]...)
	binary.BigEndian.PutUint16(frame[icmpAt+2:], sum(frame))
	return frame
}

// sum is ICMPv6's checksum of a frame in which that is zero (RFC 8200, section 8.1).
func sum(frame []byte) uint16 {
	total := uint32(len(frame)-icmpAt) + unix.IPPROTO_ICMPV6
	for i := 14 + 8; i < len(frame); i += 2 { // both addresses, and the message
		total += uint32(binary.BigEndian.Uint16(frame[i:]))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}

// claim says whether the frame is somebody's who has the address or, as we do, asks for it to take it; and whose.
func claim(frame []byte, own net.HardwareAddr, addr netip.Addr) (net.HardwareAddr, bool) {
	if len(frame) < arpLen {
		return nil, false
	}
	source := net.HardwareAddr(frame[6:12])
	another := !bytes.Equal(source, own)
	is := func(at int) bool { return bytes.Equal(frame[at:at+addr.BitLen()/8], addr.AsSlice()) }
	switch kind := binary.BigEndian.Uint16(frame[kindAt:]); {
	case kind == unix.ETH_P_ARP && addr.Is4() && bytes.Equal(frame[arpAt:arpAt+6], []byte{0, 1, 8, 0, 6, 4}):
		probes := another && frame[arpAt+7] == 1 && bytes.Equal(frame[arpAt+14:arpAt+18], make([]byte, 4)) && is(arpAt+24)
		return source, is(arpAt+14) || probes
	case kind == unix.ETH_P_IPV6 && addr.Is6() && len(frame) >= icmpLen && frame[14+6] == unix.IPPROTO_ICMPV6:
		probes := another && frame[icmpAt] == solicitation && bytes.Equal(frame[14+8:14+24], make([]byte, 16))
		return source, is(targetAt) && (frame[icmpAt] == advertisement || probes)
	}
	return nil, false
}
