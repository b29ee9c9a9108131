package ruleset

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kind is how a value is written for people: the numbers of data types that nft(8) keeps with a set (enum datatypes, include/datatype.h of nftables).
type kind uint32

const (
	kindNFProto   kind = 2
	kindInteger   kind = 4
	kindIPv4      kind = 7
	kindIPv6      kind = 8
	kindEther     kind = 9
	kindEtherType kind = 10
	kindProtocol  kind = 12
	kindPort      kind = 13
	kindTCPFlags  kind = 15
	kindMark      kind = 19
	kindIndex     kind = 20
	kindHardware  kind = 21
	kindCtState   kind = 26
	kindCtStatus  kind = 28
	kindAddrType  kind = 38
	kindIfname    kind = 41
	kindNative    kind = 63 // none of nft(8)'s: a number in the machine's order
)

// kinds takes the number of a joined type apart, six bits each.
func kinds(number uint32) (list []kind) {
	for ; number != 0; number >>= 6 {
		list = append([]kind{kind(number & 63)}, list...)
	}
	return list
}

// size is a value's length in bytes, 4 where it is not known.
func (k kind) size() int {
	switch k {
	case kindNFProto, kindProtocol, kindTCPFlags:
		return 1
	case kindEtherType, kindPort, kindHardware:
		return 2
	case kindEther:
		return 6
	case kindIPv6, kindIfname:
		return 16
	}
	return 4
}

// format writes a value.
func (k kind) format(b []byte) string {
	if len(b) < k.size() && k != kindIfname && k != kindInteger {
		return "0x" + hex.EncodeToString(b)
	}
	switch k {
	case kindIPv4, kindIPv6:
		a, _ := netip.AddrFromSlice(b[:k.size()])
		return a.String()
	case kindEther:
		return net.HardwareAddr(b[:6]).String()
	case kindInteger:
		return strconv.FormatUint(number(b), 10)
	case kindPort:
		return strconv.FormatUint(number(b[:k.size()]), 10)
	case kindProtocol:
		return ProtocolName(b[0])
	case kindNFProto:
		return map[byte]string{unix.NFPROTO_IPV4: "ipv4", unix.NFPROTO_IPV6: "ipv6"}[b[0]]
	case kindEtherType:
		return etherType(binary.BigEndian.Uint16(b))
	case kindIfname:
		name, _, ended := bytes.Cut(b, []byte{0})
		if !ended && len(b) < unix.IFNAMSIZ {
			return strconv.Quote(string(name) + "*")
		}
		return strconv.Quote(string(name))
	case kindMark:
		return fmt.Sprintf("%#x", binary.NativeEndian.Uint32(b))
	case kindIndex, kindNative:
		if n := binary.NativeEndian.Uint32(b); n != 0 || k == kindNative {
			return strconv.Itoa(int(n))
		}
		return "missing"
	case kindCtState, kindCtStatus, kindTCPFlags:
		return flags(k, uint32(hostNumber(b[:k.size()])))
	case kindAddrType:
		return addrType(binary.NativeEndian.Uint32(b))
	}
	return "0x" + hex.EncodeToString(b)
}

func number(b []byte) (n uint64) {
	for _, each := range b {
		n = n<<8 | uint64(each)
	}
	return n
}

func hostNumber(b []byte) uint64 {
	turned := slices.Clone(b)
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		slices.Reverse(turned)
	}
	return number(turned)
}

// tagged is nft's word for the type of a frame with a VLAN's tag.
const tagged = "vlan"

func etherType(number uint16) string {
	switch number {
	case unix.ETH_P_IP:
		return "ip"
	case unix.ETH_P_IPV6:
		return "ip6"
	case unix.ETH_P_ARP:
		return "arp"
	case unix.ETH_P_8021Q:
		return tagged
	}
	return fmt.Sprintf("%#04x", number)
}

// ProtocolName returns the name of an IP protocol, or its number.
func ProtocolName(number uint8) string {
	switch number {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	case unix.IPPROTO_ICMP:
		return "icmp"
	case unix.IPPROTO_ICMPV6:
		return "ipv6-icmp"
	}
	return strconv.Itoa(int(number))
}

// flagNames are the bits of a kind, from the lowest on.
var flagNames = map[kind][]string{
	kindCtState: {"invalid", "established", "related", "new", "", "", "untracked"},
	kindCtStatus: {"expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "seq-adjust", "snat-done", "dnat-done", "dying",
		"fixed-timeout", "template"},
	kindTCPFlags: {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"},
}

func flags(k kind, value uint32) string {
	var names []string
	for ; value != 0; value &= value - 1 {
		bit := bits.TrailingZeros32(value)
		name := fmt.Sprintf("%#x", 1<<bit)
		if bit < len(flagNames[k]) && flagNames[k][bit] != "" {
			name = flagNames[k][bit]
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// addrTypes are the names of RTN_*, include/uapi/linux/rtnetlink.h.
var addrTypes = []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable",
	"prohibit", "throw", "nat", "xresolve"}

func addrType(number uint32) string {
	if int(number) < len(addrTypes) {
		return addrTypes[number]
	}
	return strconv.Itoa(int(number))
}

// split takes a joined value apart: each part begins at a multiple of four bytes.
func split(list []kind, b []byte, f func(k kind, part []byte)) {
	for i, k := range list {
		n := k.size()
		if len(list) == 1 {
			n = len(b)
		}
		n = min(n, len(b))
		f(k, b[:n])
		if i+1 < len(list) {
			b = b[min((n+3)/4*4, len(b)):]
		}
	}
}

func formatAll(list []kind, b []byte) string {
	if len(list) == 0 {
		list = []kind{0}
	}
	var texts []string
	split(list, b, func(k kind, part []byte) { texts = append(texts, k.format(part)) })
	return strings.Join(texts, " . ")
}

// rangeText writes a range, as a prefix where it is one.
func rangeText(list []kind, from, to []byte) string {
	if len(list) == 0 {
		list = []kind{0}
	}
	var ends [][]byte
	split(list, to, func(_ kind, part []byte) { ends = append(ends, part) })
	var texts []string
	split(list, from, func(k kind, part []byte) {
		texts = append(texts, span(k, part, ends[len(texts)]))
	})
	return strings.Join(texts, " . ")
}

func span(k kind, from, to []byte) string {
	if bytes.Equal(from, to) {
		return k.format(from)
	}
	if k == kindIPv4 || k == kindIPv6 {
		if n, ok := prefixBits(from, to); ok {
			return k.format(from) + "/" + strconv.Itoa(n)
		}
	}
	return k.format(from) + "-" + k.format(to)
}

// prefixBits says how long the prefix is that reaches from one address to the other.
func prefixBits(from, to []byte) (int, bool) {
	n := 0
	for i := range from {
		same := bits.LeadingZeros8(from[i] ^ to[i])
		n += same
		if same == 8 {
			continue
		}
		rest := byte(0xff) >> same
		if from[i]&rest != 0 || to[i]&rest != rest {
			return 0, false
		}
		for j := i + 1; j < len(from); j++ {
			if from[j] != 0 || to[j] != 0xff {
				return 0, false
			}
		}
		return n, true
	}
	return n, true
}

// maskBits says how long the prefix is that the mask keeps.
func maskBits(mask []byte) (int, bool) {
	ones := make([]byte, len(mask))
	for i := range ones {
		ones[i] = ^mask[i]
	}
	return prefixBits(make([]byte, len(mask)), ones)
}
