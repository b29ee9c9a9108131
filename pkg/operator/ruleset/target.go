package ruleset

import (
	"fmt"
	"net/netip"
)

// destination is what DNAT, SNAT and REDIRECT of iptables translate to.
type destination struct {
	source, self bool
	addr         netip.Addr // invalid: as it is
	port         uint16     // 0: as it is
}

func (p *destination) run(w *walk) signal {
	if p.self {
		return (&redirect{port: p.port}).run(w)
	}
	to := p.addr
	switch {
	case to.IsValid():
	case p.source:
		to = w.packet.Source
	default:
		to = w.packet.Destination
	}
	return w.translate(p.source, netip.AddrPortFrom(to, p.port))
}

func (p *destination) write(s *scribe) {
	text := ""
	if p.addr.IsValid() {
		text = p.addr.String()
		if p.addr.Is6() && p.port != 0 {
			text = "[" + text + "]"
		}
	}
	if p.port != 0 {
		text += fmt.Sprintf(":%d", p.port)
	}
	switch {
	case p.self && p.port == 0:
		s.say("-j REDIRECT")
	case p.self:
		s.say(fmt.Sprintf("-j REDIRECT --to-ports %d", p.port))
	case p.source:
		s.say("-j SNAT --to-source " + text)
	default:
		s.say("-j DNAT --to-destination " + text)
	}
}

// setMark sets the bits of the mask to zero and turns those of the value: both the same bits is a plain setting.
type setMark struct{ value, mask uint32 }

func (p *setMark) run(w *walk) signal {
	if mark := w.packet.Mark&^p.mask ^ p.value; mark != w.packet.Mark {
		w.packet.Mark = mark
		w.note(w.rule)
	}
	return goOn
}

func (p *setMark) write(s *scribe) {
	if p.mask == 0xffffffff {
		s.say(fmt.Sprintf("-j MARK --set-xmark %#x", p.value))
		return
	}
	s.say(fmt.Sprintf("-j MARK --set-xmark %#x/%#x", p.value, p.mask))
}
