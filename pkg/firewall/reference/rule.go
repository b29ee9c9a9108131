package reference

import (
	"encoding/binary"
	"math/bits"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// rule is one of the reference's, as far as its rules go: what a packet must be, and what becomes of it.
type rule struct {
	from, to, notTo netip.Prefix // the zero Prefix: any
	protocol        uint8
	port            uint16
	link            string // by which it came in
	mac             string // of the sender
	does            string // return, drop, jump C, goto C, masquerade or dnat
	target          netip.AddrPort
	comment         string
}

// read takes a rule apart as nft(8) puts it together: a load, a mask perhaps, a comparison, and so on, and then the verdict.
func read(r *nftables.Rule) (out rule) {
	out.comment, _ = userdata.GetString(r.UserData, userdata.TypeComment)
	var loaded expr.Any
	var mask []byte
	var values [][]byte
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Payload, *expr.Meta, *expr.Fib:
			loaded, mask = e, nil
		case *expr.Bitwise:
			mask = e.Mask
		case *expr.Cmp:
			out.compared(loaded, mask, e)
		case *expr.Immediate:
			values = append(values, e.Data)
		case *expr.Masq:
			out.does = "masquerade"
		case *expr.NAT:
			out.translated(e, values)
		case *expr.Verdict:
			out.does = verdict(e)
		}
	}
	return out
}

func verdict(v *expr.Verdict) string {
	names := map[expr.VerdictKind]string{expr.VerdictReturn: "return", expr.VerdictDrop: "drop", expr.VerdictJump: "jump ", expr.VerdictGoto: "goto "}
	return names[v.Kind] + v.Chain
}

func (r *rule) translated(e *expr.NAT, values [][]byte) {
	if e.Type != expr.NATTypeDestNAT || len(values) != 2 || len(values[1]) != 2 {
		return
	}
	if addr, ok := netip.AddrFromSlice(values[0]); ok {
		r.does, r.target = "dnat", netip.AddrPortFrom(addr, binary.BigEndian.Uint16(values[1]))
	}
}

// compared notes what a comparison says of the packets.
func (r *rule) compared(loaded expr.Any, mask []byte, c *expr.Cmp) {
	switch from := loaded.(type) {
	case *expr.Meta:
		switch {
		case from.Key == expr.MetaKeyL4PROTO && len(c.Data) == 1:
			r.protocol = c.Data[0]
		case from.Key == expr.MetaKeyIIFNAME:
			r.link = strings.TrimRight(string(c.Data), "\x00")
		}
	case *expr.Payload:
		switch {
		case from.Base == expr.PayloadBaseTransportHeader && from.Offset == 2 && len(c.Data) == 2:
			r.port = binary.BigEndian.Uint16(c.Data)
		case from.Base == expr.PayloadBaseLLHeader && from.Offset == 6 && len(c.Data) == 6:
			r.mac = net.HardwareAddr(c.Data).String()
		case from.Base == expr.PayloadBaseNetworkHeader:
			r.addressed(from.Offset, mask, c)
		}
	}
}

// addressed notes a comparison with an address, or with as many bytes of one as its prefix has: it is told by its place in the header.
func (r *rule) addressed(offset uint32, mask []byte, c *expr.Cmp) {
	sizes, ones := map[uint32]int{12: 4, 16: 4, 8: 16, 24: 16}, len(c.Data)*8
	if mask != nil {
		ones = 0
		for _, b := range mask {
			ones += bits.OnesCount8(b)
		}
	}
	size := sizes[offset]
	if ones == 0 || len(c.Data) > size {
		return
	}
	addr, _ := netip.AddrFromSlice(append(append([]byte{}, c.Data...), make([]byte, size-len(c.Data))...))
	prefix := netip.PrefixFrom(addr, ones)
	switch source := offset == 12 || offset == 8; {
	case source:
		r.from = prefix
	case c.Op == expr.CmpOpNeq:
		r.notTo = prefix
	default:
		r.to = prefix
	}
}

// asPort is what a rule that translates publishes.
func (r rule) asPort() firewall.Port {
	return firewall.Port{Protocol: r.protocol, HostIP: r.to.Addr(), HostPort: r.port, Target: r.target}
}
