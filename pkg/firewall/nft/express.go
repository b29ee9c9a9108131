package nft

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// The expressions are written exactly as the kernel gives them back, registers included, so that what is found can be compared with
// what is expected. nft(8) writes the same ones; `nft --debug=netlink list table inet trestle` shows them.

// family is what differs in rules for IPv4 and IPv6.
type family struct {
	name         string // as in nft's `ip saddr`
	proto        byte   // NFPROTO_*, linux/netfilter.h
	source, dest uint32 // offsets of the addresses in the network header, bytes
	size         uint32 // of an address, bytes
}

func ipv4() family { return family{"ip", unix.NFPROTO_IPV4, 12, 16, 4} }
func ipv6() family { return family{"ip6", unix.NFPROTO_IPV6, 8, 24, 16} }

// register returns the number under which the kernel shows the register at a 32-bit word: those at a multiple of four words have the old names.
func register(word uint32) uint32 {
	if word%4 == 0 {
		return unix.NFT_REG_1 + word/4
	}
	return unix.NFT_REG32_00 + word
}

// field is a value of a packet; in a key made of several, each begins at a word.
type field struct {
	size uint32 // bytes
	load func(register uint32) expr.Any
}

func (f family) saddr() field { return payload(expr.PayloadBaseNetworkHeader, f.source, f.size) }
func (f family) daddr() field { return payload(expr.PayloadBaseNetworkHeader, f.dest, f.size) }

func dport() field     { return payload(expr.PayloadBaseTransportHeader, 2, 2) }
func etherFrom() field { return payload(expr.PayloadBaseLLHeader, 6, 6) }
func l4proto() field   { return meta(expr.MetaKeyL4PROTO, 1) }
func iifname() field   { return meta(expr.MetaKeyIIFNAME, unix.IFNAMSIZ) }

func oifname() field { return meta(expr.MetaKeyOIFNAME, unix.IFNAMSIZ) }

func payload(base expr.PayloadBase, offset, size uint32) field {
	return field{size, func(r uint32) expr.Any {
		return &expr.Payload{DestRegister: r, Base: base, Offset: offset, Len: size}
	}}
}

func meta(key expr.MetaKey, size uint32) field {
	return field{size, func(r uint32) expr.Any { return &expr.Meta{Key: key, Register: r} }}
}

// load puts the fields one after the other into registers, from the first on.
func load(fields ...field) []expr.Any {
	var list []expr.Any
	word := uint32(0)
	for _, f := range fields {
		list = append(list, f.load(register(word)))
		word += (f.size + 3) / 4
	}
	return list
}

// only lets packets of the family go on.
func (f family) only() []expr.Any {
	return append(load(meta(expr.MetaKeyNFPROTO, 1)), equal(f.proto)...)
}

// What rules are written with is not inlined: the tables have dozens of each, and a node downloads them.
//
//go:noinline
func equal(value ...byte) []expr.Any { return compare(expr.CmpOpEq, value) }

func compare(op expr.CmpOp, value []byte) []expr.Any {
	return []expr.Any{&expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: value}}
}

// masked keeps the bits of the mask in the first register.
//
//go:noinline
func masked(mask ...byte) []expr.Any {
	return []expr.Any{&expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1,
		Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))}}
}

// in lets packets go on whose loaded key is in the set.
//
//go:noinline
func in(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set}}
}

// notIn lets packets go on whose loaded key is not in the set.
func notIn(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set, Invert: true}}
}

// translate sends packets whose loaded key is in the map to the address and port that it holds.
func (f family) translate(set string) []expr.Any {
	port := register(f.size / 4)
	return []expr.Any{
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set, DestRegister: unix.NFT_REG_1, IsDestRegSet: true},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.proto), RegAddrMin: unix.NFT_REG_1, RegAddrMax: unix.NFT_REG_1,
			RegProtoMin: port, RegProtoMax: port, Specified: true},
	}
}

// foreign lets packets go on that did not come in by lo, whose index is 1 in every namespace.
func foreign() []expr.Any {
	return append(load(meta(expr.MetaKeyIIF, 4)), compare(expr.CmpOpNeq, native(1))...)
}

// toUs lets packets go on whose destination is an address of this host.
func toUs() []expr.Any {
	fib := &expr.Fib{Register: unix.NFT_REG_1, ResultADDRTYPE: true, FlagDADDR: true}
	return append([]expr.Any{fib}, equal(native(unix.RTN_LOCAL)...)...)
}

// translated lets packets go on whose connection had its destination changed (IPS_DST_NAT, linux/netfilter/nf_conntrack_common.h).
func translated() []expr.Any {
	const destinationChanged = 1 << 5
	status := []expr.Any{&expr.Ct{Key: expr.CtKeySTATUS, Register: unix.NFT_REG_1}}
	return slices.Concat(status, masked(native(destinationChanged)...), compare(expr.CmpOpNeq, native(0)))
}

// untrackable lets packets go on that belong to no connection and begin none (NF_CT_STATE_INVALID_BIT).
func untrackable() []expr.Any {
	state := []expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1}}
	return slices.Concat(state, masked(native(expr.CtStateBitINVALID)...), compare(expr.CmpOpNeq, native(0)))
}

// known lets packets go on that belong to a connection, or are related to one.
func known() []expr.Any {
	state := []expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1}}
	return slices.Concat(state, masked(native(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)...), compare(expr.CmpOpNeq, native(0)))
}

// setMark sets or clears the mark of what may pass, and leaves the packet's other marks.
func setMark(on bool) []expr.Any {
	change := &expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4, Mask: native(^firewall.PassMark), Xor: native(0)}
	if on {
		change.Xor = native(firewall.PassMark)
	}
	return append(load(meta(expr.MetaKeyMARK, 4)), change, &expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1})
}

// marked lets packets go on that have the mark.
func marked() []expr.Any {
	bit := native(firewall.PassMark)
	return slices.Concat(load(meta(expr.MetaKeyMARK, 4)), masked(bit...), equal(bit...))
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

//go:noinline
func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

// drop ends a packet, and counts it: what our rules drop is the first thing that somebody asks whom they are in the way of.
func drop() []expr.Any { return append([]expr.Any{&expr.Counter{}}, verdict(expr.VerdictDrop)...) }

//go:noinline
func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

// when makes a rule of expressions one after the other.
//
//go:noinline
func when(text string, parts ...[]expr.Any) rule { return rule{text, slices.Concat(parts...)} }
