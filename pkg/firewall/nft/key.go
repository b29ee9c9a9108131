package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Each field of a key or value made of several begins at a word of four bytes, and is followed by zeros up to the next.

// service returns `protocol . port`.
func service(protocol uint8, port uint16) []byte {
	return binary.BigEndian.AppendUint32([]byte{protocol, 0, 0, 0}, uint32(port)<<16)
}

// address returns `address . port`.
func address(to netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint32(to.Addr().AsSlice(), uint32(to.Port())<<16)
}

// addressIn reads `address . port`; the zero AddrPort where it is none.
func addressIn(value []byte) netip.AddrPort {
	cut := len(value) - 4
	if cut != 4 && cut != 16 {
		return netip.AddrPort{}
	}
	addr, _ := netip.AddrFromSlice(value[:cut]) // of the lengths above
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(value[cut:]))
}

// last returns the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(raw); bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return addr
}

func protocol(number uint8) string {
	if name := firewall.ProtocolName(number); name != "" {
		return name
	}
	return fmt.Sprintf("protocol %d", number)
}

// fullName is the name of one link, with the zeros after it.
func fullName(link string) []byte {
	return append([]byte(link), make([]byte, unix.IFNAMSIZ-len(link))...)
}
