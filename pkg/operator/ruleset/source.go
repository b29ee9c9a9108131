package ruleset

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// readMeta reads what a rule asks about a packet beside its bytes, or the setting of its mark.
func readMeta(a attrs) part {
	key := a.number(unix.NFTA_META_KEY)
	if from := a.number(unix.NFTA_META_SREG); from != 0 {
		return &setMeta{key, from}
	}
	to := a.number(unix.NFTA_META_DREG)
	m, known := metas[key]
	if !known {
		return &unknownValue{to, 4, fmt.Sprintf("meta key %d", key)}
	}
	return &load{to: to, size: m.kind.size(), name: m.name, kind: m.kind, get: func(w *walk) []byte { return m.get(w) }}
}

// meta is one thing that a rule may ask about a packet.
type meta struct {
	name string
	kind kind
	get  func(w *walk) []byte
}

func unknown(*walk) []byte { return nil }

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func ifname(l Link) []byte { return padded([]byte(l.Name), unix.IFNAMSIZ) }

// hardware is the type of a link, 1 for Ethernet.
func hardware(l Link) []byte { return binary.NativeEndian.AppendUint16(nil, max(l.Type, 1)) }

// nftMetaBriIIFName and nftMetaBriOIFName have other names in golang.org/x/sys.
var metas = map[uint32]meta{
	unix.NFT_META_NFPROTO:  {"meta nfproto", kindNFProto, func(w *walk) []byte { return []byte{w.packet.family()} }},
	unix.NFT_META_L4PROTO:  {"meta l4proto", kindProtocol, func(w *walk) []byte { return []byte{w.packet.Protocol} }},
	unix.NFT_META_PROTOCOL: {"meta protocol", kindEtherType, func(w *walk) []byte { return binary.BigEndian.AppendUint16(nil, w.packet.etherType()) }},
	unix.NFT_META_MARK:     {"meta mark", kindMark, func(w *walk) []byte { return native(w.packet.Mark) }},
	unix.NFT_META_IIF:      {"iif", kindIndex, func(w *walk) []byte { return native(uint32(w.packet.In.Index)) }},
	unix.NFT_META_OIF:      {"oif", kindIndex, func(w *walk) []byte { return native(uint32(w.packet.Out.Index)) }},
	unix.NFT_META_IIFNAME:  {"iifname", kindIfname, func(w *walk) []byte { return ifname(w.packet.In) }},
	unix.NFT_META_OIFNAME:  {"oifname", kindIfname, func(w *walk) []byte { return ifname(w.packet.Out) }},
	unix.NFT_META_IIFTYPE:  {"iiftype", kindHardware, func(w *walk) []byte { return hardware(w.packet.In) }},
	unix.NFT_META_OIFTYPE:  {"oiftype", kindHardware, func(w *walk) []byte { return hardware(w.packet.Out) }},
	unix.NFT_META_SKUID:    {"meta skuid", kindNative, unknown},
	unix.NFT_META_SKGID:    {"meta skgid", kindNative, unknown},
	unix.NFT_META_PKTTYPE:  {"meta pkttype", 0, unknown},
	unix.NFT_META_LEN:      {"meta length", kindNative, unknown},
	unix.NFT_META_CGROUP:   {"meta cgroup", kindNative, unknown},
	unix.NFT_META_IIFGROUP: {"iifgroup", kindNative, unknown},
	unix.NFT_META_OIFGROUP: {"oifgroup", kindNative, unknown},
}

func (p *Packet) family() byte {
	switch {
	case p.Bridged:
		return unix.NFPROTO_BRIDGE
	case p.Source.Is4():
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}

// setMeta changes something beside a packet's bytes; the mark is all that is followed.
type setMeta struct{ key, from uint32 }

func (p *setMeta) run(w *walk) signal {
	if p.key != unix.NFT_META_MARK {
		return goOn
	}
	value := w.registers.get(register(p.from), 4)
	if value == nil {
		return w.unsure("a mark that is not known")
	}
	if mark := binary.NativeEndian.Uint32(value); mark != w.packet.Mark {
		w.packet.Mark = mark
		w.note(w.rule)
	}
	return goOn
}

func (p *setMeta) write(s *scribe) {
	name := metas[p.key].name
	if name == "" {
		name = fmt.Sprintf("meta key %d", p.key)
	}
	s.say(name + " set " + s.value(p.from, metas[p.key].kind))
}

// readPayload reads bytes of the packet, or the writing of them.
func readPayload(a attrs) part {
	base, at, size := a.number(unix.NFTA_PAYLOAD_BASE), int(a.number(unix.NFTA_PAYLOAD_OFFSET)), int(a.number(unix.NFTA_PAYLOAD_LEN))
	if a[unix.NFTA_PAYLOAD_SREG] != nil {
		return &stranger{"a change of the packet"}
	}
	return &payload{load{to: a.number(unix.NFTA_PAYLOAD_DREG), size: size,
		get: func(w *walk) []byte { return w.packet.header(base).get(at, size) }}, base, at}
}

// payload is a load whose name hangs on what the rule asked before.
type payload struct {
	load
	base uint32
	at   int
}

// Directions of connection tracking, enum ip_conntrack_dir.
const (
	original = 0
	reply    = 1
)

// readCt reads what a rule asks of connection tracking.
func readCt(a attrs) part {
	key := a.number(unix.NFTA_CT_KEY)
	if a[unix.NFTA_CT_SREG] != nil {
		return &effect{name: "ct mark set"} // seen by later packets only; the mark of the connection is not followed
	}
	to := a.number(unix.NFTA_CT_DREG)
	direction := ""
	if d := a[unix.NFTA_CT_DIRECTION]; len(d) > 0 {
		direction = map[byte]string{original: "original ", reply: "reply "}[d[0]]
	}
	switch key {
	case unix.NFT_CT_STATE:
		return &load{to, 4, "ct state", kindCtState, func(w *walk) []byte { return native(uint32(w.packet.State)) }}
	case unix.NFT_CT_STATUS:
		return &load{to, 4, "ct status", kindCtStatus, func(w *walk) []byte { return native(w.packet.status()) }}
	case unix.NFT_CT_DIRECTION:
		return &load{to, 1, "ct direction", 0, func(w *walk) []byte { return map[bool][]byte{false: {original}, true: {reply}}[w.packet.Reply] }}
	case unix.NFT_CT_SRC, nftCtSrcIP, nftCtSrcIP6:
		return originalAddr(to, direction, "saddr", 0)
	case unix.NFT_CT_DST, nftCtDstIP, nftCtDstIP6:
		return originalAddr(to, direction, "daddr", 1)
	case unix.NFT_CT_PROTO_DST:
		if direction == "original " {
			return &load{to, 2, "ct original proto-dst", kindPort, func(w *walk) []byte {
				return binary.BigEndian.AppendUint16(nil, w.packet.Original[1].Port())
			}}
		}
	case unix.NFT_CT_MARK:
		return &unknownValue{to, 4, "ct mark"}
	}
	return &unknownValue{to, 16, fmt.Sprintf("ct %skey %d", direction, key)}
}

// Keys that golang.org/x/sys lacks, enum nft_ct_keys.
const (
	nftCtSrcIP  = 19
	nftCtDstIP  = 20
	nftCtSrcIP6 = 21
	nftCtDstIP6 = 22
)

func originalAddr(to uint32, direction, name string, i int) part {
	if direction != "original " {
		return &unknownValue{to, 16, "ct " + direction + name}
	}
	return &load{to, 4, "ct original " + name, kindIPv4, func(w *walk) []byte { return address(w.packet.Original[i].Addr()) }}
}

func address(a netip.Addr) []byte {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}

// readFib reads what a rule asks of the routes.
func readFib(a attrs) part {
	flags, result, to := a.number(unix.NFTA_FIB_FLAGS), a.number(unix.NFTA_FIB_RESULT), a.number(unix.NFTA_FIB_DREG)
	of := "daddr"
	if flags&unix.NFTA_FIB_F_SADDR != 0 {
		of = "saddr"
	}
	addr := func(w *walk) netip.Addr {
		if of == "saddr" {
			return w.packet.Source
		}
		return w.packet.Destination
	}
	switch result {
	case unix.NFT_FIB_RESULT_ADDRTYPE:
		return &load{to, 4, "fib " + of + linkText(flags) + " type", kindAddrType, func(w *walk) []byte { return w.addrType(addr(w), flags) }}
	case unix.NFT_FIB_RESULT_OIF:
		return &load{to, 4, "fib " + of + linkText(flags) + " oif", kindIndex, func(w *walk) []byte { return w.out(addr(w), flags) }}
	}
	return &unknownValue{to, 16, "fib oifname"}
}

func linkText(flags uint32) (text string) {
	if flags&unix.NFTA_FIB_F_MARK != 0 {
		text += " . mark"
	}
	if flags&unix.NFTA_FIB_F_IIF != 0 {
		text += " . iif"
	}
	if flags&unix.NFTA_FIB_F_OIF != 0 {
		text += " . oif"
	}
	return text
}

func (w *walk) addrType(a netip.Addr, flags uint32) []byte {
	link := ""
	switch {
	case flags&unix.NFTA_FIB_F_IIF != 0:
		link = w.packet.In.Name
	case flags&unix.NFTA_FIB_F_OIF != 0:
		link = w.packet.Out.Name
	}
	if w.kernel == nil {
		return nil
	}
	kind, ok := w.kernel.AddrType(a, link)
	if !ok {
		return nil
	}
	return native(uint32(kind))
}

// out is the link by which an address is reached; with F_IIF it counts only if it is the one that the packet came in by.
func (w *walk) out(a netip.Addr, flags uint32) []byte {
	if w.kernel == nil {
		return nil
	}
	mark := uint32(0)
	if flags&unix.NFTA_FIB_F_MARK != 0 {
		mark = w.packet.Mark
	}
	index, ok := w.kernel.Out(a, mark)
	if !ok {
		return nil
	}
	if flags&unix.NFTA_FIB_F_IIF != 0 && index != w.packet.In.Index || flags&unix.NFTA_FIB_F_OIF != 0 && index != w.packet.Out.Index {
		index = 0
	}
	return native(uint32(index))
}
