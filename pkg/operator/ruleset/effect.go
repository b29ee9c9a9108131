package ruleset

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// readEffect reads the expressions that do something.
func readEffect(name string, a attrs) part {
	switch name {
	case "counter":
		return &counter{Counter{Packets: a.long(unix.NFTA_COUNTER_PACKETS), Bytes: a.long(unix.NFTA_COUNTER_BYTES)}}
	case "log":
		return &effect{name: "log"}
	case "masq":
		return &masquerade{}
	case "redir":
		return &redirect{from: a.number(unix.NFTA_REDIR_REG_PROTO_MIN)}
	case "nat":
		return &nat{source: a.number(unix.NFTA_NAT_TYPE) == unix.NFT_NAT_SNAT, is4: a.number(unix.NFTA_NAT_FAMILY) == unix.NFPROTO_IPV4,
			addr: a.number(unix.NFTA_NAT_REG_ADDR_MIN), port: a.number(unix.NFTA_NAT_REG_PROTO_MIN)}
	case "reject":
		return &refusal{}
	case "notrack":
		return &untrack{}
	case "objref":
		if a.number(unix.NFTA_OBJREF_IMM_TYPE) == unix.NFT_OBJECT_COUNTER {
			return &effect{name: "counter " + a.text(unix.NFTA_OBJREF_IMM_NAME)}
		}
	}
	return nil
}

// effect is an expression that does nothing to the packet's way.
type effect struct{ name string }

func (p *effect) run(*walk) signal { return goOn }
func (p *effect) write(s *scribe)  { s.say(p.name) }

type counter struct{ Counter }

func (p *counter) run(*walk) signal { return goOn }
func (p *counter) write(*scribe)    {}

type refusal struct{}

func (p *refusal) run(*walk) signal { return rejected }
func (p *refusal) write(s *scribe)  { s.then("reject", "-j REJECT") }

type untrack struct{}

func (p *untrack) run(w *walk) signal {
	w.packet.State = Untracked
	w.note(w.rule)
	return goOn
}
func (p *untrack) write(s *scribe) { s.then("notrack", "-j CT --notrack") }

// masquerade gives the packet the address of the link that it leaves by.
type masquerade struct{}

func (p *masquerade) run(w *walk) signal {
	if w.kernel != nil {
		if a, ok := w.kernel.Masquerade(w.packet); ok {
			return w.translate(true, netip.AddrPortFrom(a, 0))
		}
	}
	return w.lose("masquerades by an address that is not known")
}
func (p *masquerade) write(s *scribe) { s.then("masquerade", "-j MASQUERADE") }

// lose ends the walk: what comes is not known.
func (w *walk) lose(what string) signal {
	w.reason = "chain " + w.chain.Name + " of " + w.table.String() + ": rule \"" + w.rule.Text + "\" " + what
	return lost
}

// redirect sends the packet to this host itself.
type redirect struct {
	from uint32 // register of the port; 0: as it is
	port uint16 // where there is no register
}

func (p *redirect) run(w *walk) signal {
	port := p.port
	if p.from != 0 {
		value := w.registers.get(register(p.from), 2)
		if value == nil {
			return w.lose("redirects to a port that is not known")
		}
		port = binary.BigEndian.Uint16(value)
	}
	to := netip.IPv6Loopback()
	if w.packet.Source.Is4() {
		to = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if w.packet.In.Index != 0 {
		var ok bool
		back := w.packet
		back.Out = back.In
		if w.kernel != nil {
			to, ok = w.kernel.Masquerade(back)
		}
		if !ok {
			return w.lose("redirects to an address that is not known")
		}
	}
	return w.translate(false, netip.AddrPortFrom(to, port))
}
func (p *redirect) write(s *scribe) {
	text := "redirect"
	if port := s.port(p.from); port != "" {
		text += " to " + port
	}
	s.then(text, "-j REDIRECT")
}

// nat translates to an address and port in registers.
type nat struct {
	source, is4 bool
	addr, port  uint32
}

func (p *nat) run(w *walk) signal {
	size := 16
	if p.is4 {
		size = 4
	}
	to := w.packet.Destination
	if p.source {
		to = w.packet.Source
	}
	if p.addr != 0 {
		value := w.registers.get(register(p.addr), size)
		if value == nil {
			return w.lose("translates to an address that is not known")
		}
		to, _ = netip.AddrFromSlice(value)
	}
	var port uint16
	if p.port != 0 {
		value := w.registers.get(register(p.port), 2)
		if value == nil {
			return w.lose("translates to a port that is not known")
		}
		port = binary.BigEndian.Uint16(value)
	}
	return w.translate(p.source, netip.AddrPortFrom(to, port))
}

func (p *nat) write(s *scribe) {
	word, k := "dnat ", kindIPv6
	if p.source {
		word = "snat "
	}
	if p.is4 {
		k = kindIPv4
	}
	text := word
	if s.wide {
		text += map[bool]string{true: "ip ", false: "ip6 "}[p.is4]
	}
	text += "to "
	if p.addr != 0 {
		text += s.value(p.addr, k)
	}
	s.say(text + s.port(p.port))
}
