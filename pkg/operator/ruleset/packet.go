package ruleset

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Packet is one packet at one hook, as far as it is known.
type Packet struct {
	Source, Destination         netip.Addr
	Protocol                    uint8  // IANA number
	SourcePort, DestinationPort uint16 // 0: unknown, or a protocol without
	In, Out                     Link   // the zero Link where the hook has none
	PortIn, PortOut             Link   // ports of a bridge, where a bridge calls the hooks of IP
	MAC, ToMAC                  net.HardwareAddr
	Mark                        uint32
	Bridged                     bool // at a hook of the family bridge: In and Out are the ports

	State    State
	Reply    bool              // goes the way back of its connection
	DNAT     bool              // its connection's destination was changed, or source
	SNAT     bool              //
	Original [2]netip.AddrPort // source and destination of the connection's first packet, before all translation
	// Back is what connection tracking makes of the addresses of a packet that is not the first of its connection: the destination at
	// prerouting and output, the source at input and postrouting. An invalid one leaves them.
	Back netip.AddrPort
	// Settled says that the chains of the kind nat have been asked already: the packet came by lo, or from a bridge.
	Settled bool
}

// Link is an interface.
type Link struct {
	Name  string
	Index int
	Type  uint16 // ARPHRD_*; 0: Ethernet
}

// State is a packet's part in its connection, as connection tracking sees it.
type State uint32

// The states: NF_CT_STATE_*_BIT.
const (
	Invalid     State = 1
	Established State = 2
	Related     State = 4
	New         State = 8
	Untracked   State = 64
)

// Kernel answers what a rule may ask of the rest of the kernel. Each says false where it does not know.
type Kernel interface {
	// AddrType is the type of a route to the address (RTN_*), by the link if one is named.
	AddrType(a netip.Addr, link string) (kind uint8, ok bool)
	// Out is the index of the link by which the namespace would send to the address, 0 for none.
	Out(a netip.Addr, mark uint32) (index int, ok bool)
	// Masquerade is the address that a packet takes when it leaves by its Out link.
	Masquerade(p Packet) (a netip.Addr, ok bool)
}

// raw is the packet as a rule's payload expressions see it: bytes, and which of them are known.
type raw struct {
	bytes [64]byte
	known [64]bool
}

func (r *raw) put(at int, value []byte) {
	for i, b := range value {
		r.bytes[at+i], r.known[at+i] = b, true
	}
}

// get returns nil where not all of it is known.
func (r *raw) get(at, size int) []byte {
	if at < 0 || size < 0 || at+size > len(r.bytes) {
		return nil
	}
	for i := at; i < at+size; i++ {
		if !r.known[i] {
			return nil
		}
	}
	return append([]byte(nil), r.bytes[at:at+size]...)
}

// part returns the bytes, and which of them are known.
func (r *raw) part(at, size int) (value []byte, known []bool) {
	if at < 0 || size < 0 || at+size > len(r.bytes) {
		return make([]byte, max(size, 0)), make([]bool, max(size, 0))
	}
	return r.bytes[at : at+size], r.known[at : at+size]
}

// header returns the bytes from a base (NFT_PAYLOAD_*) on.
func (p *Packet) header(base uint32) *raw {
	switch base {
	case unix.NFT_PAYLOAD_LL_HEADER:
		return p.frame()
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		return p.network()
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		return p.transport()
	}
	return &raw{}
}

func (p *Packet) frame() *raw {
	var r raw
	if len(p.ToMAC) == 6 {
		r.put(0, p.ToMAC)
	}
	if len(p.MAC) == 6 {
		r.put(6, p.MAC)
	}
	r.put(12, binary.BigEndian.AppendUint16(nil, p.etherType()))
	return &r
}

func (p *Packet) etherType() uint16 {
	if p.Source.Is4() {
		return unix.ETH_P_IP
	}
	return unix.ETH_P_IPV6
}

func (p *Packet) network() *raw {
	var r raw
	if p.Source.Is4() {
		r.put(0, []byte{0x45})
		r.put(6, []byte{0, 0}) // the first fragment, and the only one
		r.put(9, []byte{p.Protocol})
		r.put(12, p.Source.AsSlice())
		r.put(16, p.Destination.AsSlice())
		return &r
	}
	r.put(6, []byte{p.Protocol})
	r.put(8, p.Source.AsSlice())
	r.put(24, p.Destination.AsSlice())
	return &r
}

// Flags of a TCP header, RFC 9293.
const (
	flagSYN = 2
	flagACK = 16
)

func (p *Packet) transport() *raw {
	var r raw
	switch p.Protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP, unix.IPPROTO_UDPLITE, unix.IPPROTO_DCCP:
		if p.SourcePort != 0 {
			r.put(0, binary.BigEndian.AppendUint16(nil, p.SourcePort))
		}
		if p.DestinationPort != 0 {
			r.put(2, binary.BigEndian.AppendUint16(nil, p.DestinationPort))
		}
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		r.put(0, []byte{p.echo(), 0})
	}
	if p.Protocol == unix.IPPROTO_TCP {
		r.put(13, []byte{p.tcpFlags()})
	}
	return &r
}

// tcpFlags are those of the first segment each way.
func (p *Packet) tcpFlags() byte {
	if p.Reply {
		return flagSYN | flagACK
	}
	return flagSYN
}

// echo is the type of a ping, or of its answer.
func (p *Packet) echo() byte {
	request, reply := byte(8), byte(0)
	if p.Protocol == unix.IPPROTO_ICMPV6 {
		request, reply = 128, 129
	}
	if p.Reply {
		return reply
	}
	return request
}

// status are the bits of the connection (IPS_*, include/uapi/linux/netfilter/nf_conntrack_common.h) that a rule may look at.
func (p *Packet) status() uint32 {
	const seenReply, confirmed, snat, dnat = 1 << 1, 1 << 3, 1 << 4, 1 << 5
	var bits uint32
	if p.Reply {
		bits |= seenReply
	}
	if p.State != New {
		bits |= confirmed
	}
	if p.SNAT {
		bits |= snat
	}
	if p.DNAT {
		bits |= dnat
	}
	return bits
}
