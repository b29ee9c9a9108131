package ruleset

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// test is a match of iptables: what it is in words, and whether a packet fits. Read from an expression of nf_tables or from the words of
// iptables-save, it is the same.
type test struct {
	text    string
	holds   func(w *walk) answer
	unknown bool // not understood
}

// answer is that to a test.
type answer uint8

const (
	no answer = iota
	yes
	perhaps
)

func truth(b bool) answer {
	if b {
		return yes
	}
	return no
}

func (a answer) not(invert bool) answer {
	if invert && a != perhaps {
		return 1 - a
	}
	return a
}

func (p *test) run(w *walk) signal {
	switch p.holds(w) {
	case yes:
		return goOn
	case no:
		return miss
	}
	return w.unsure(p.text)
}

func (p *test) write(s *scribe) { s.say(p.text) }

// remark is a comment, which holds for every packet.
type remark struct{ text string }

func (p *remark) run(*walk) signal { return goOn }
func (p *remark) write(s *scribe)  { s.say("-m comment --comment " + strconv.Quote(p.text)) }

func not(invert bool) string {
	if invert {
		return "! "
	}
	return ""
}

// States as the match conntrack has them, which are not the bits of nf_tables from 64 on.
const (
	stateSNAT      = 1 << 6
	stateDNAT      = 1 << 7
	stateUntracked = 1 << 8
)

var stateNames = []string{"INVALID", "ESTABLISHED", "RELATED", "NEW", "", "", "SNAT", "DNAT", "UNTRACKED"}

// matchState is `-m conntrack --ctstate`, and `-m state --state`.
func matchState(mask uint32, invert bool) *test {
	var names []string
	for bit, name := range stateNames {
		if mask&(1<<bit) != 0 && name != "" {
			names = append(names, name)
		}
	}
	return &test{text: "-m conntrack " + not(invert) + "--ctstate " + strings.Join(names, ","), holds: func(w *walk) answer {
		bits := uint32(w.packet.State)
		if w.packet.State == Untracked {
			bits = stateUntracked
		}
		if w.packet.SNAT {
			bits |= stateSNAT
		}
		if w.packet.DNAT {
			bits |= stateDNAT
		}
		return truth(bits&mask != 0).not(invert)
	}}
}

func matchStatus(mask uint32, invert bool) *test {
	return &test{text: "-m conntrack " + not(invert) + "--ctstatus " + flags(kindCtStatus, mask), holds: func(w *walk) answer {
		return truth(w.packet.status()&mask != 0).not(invert)
	}}
}

// matchAddrType is `-m addrtype`, of one end. limit names the side whose link the route must be of: "in", "out" or none.
func matchAddrType(source bool, mask uint32, invert bool, limit string) *test {
	option := "--dst-type "
	if source {
		option = "--src-type "
	}
	text := "-m addrtype " + not(invert) + option + typeNames(mask)
	if limit != "" {
		text += " --limit-iface-" + limit
	}
	return &test{text: text, holds: func(w *walk) answer {
		a, link := w.packet.Destination, map[string]string{"in": w.packet.In.Name, "out": w.packet.Out.Name}[limit]
		if source {
			a = w.packet.Source
		}
		if w.kernel == nil {
			return perhaps
		}
		kind, ok := w.kernel.AddrType(a, link)
		if !ok {
			return perhaps
		}
		return truth(mask&(1<<kind) != 0).not(invert)
	}}
}

func typeNames(mask uint32) string {
	var names []string
	for bit, name := range addrTypes {
		if mask&(1<<bit) != 0 {
			names = append(names, strings.ToUpper(name))
		}
	}
	return strings.Join(names, ",")
}

// ports is a range of ports, both ends in it.
type ports struct{ low, top uint16 }

func (p ports) String() string {
	if p.low == p.top {
		return strconv.Itoa(int(p.low))
	}
	return fmt.Sprintf("%d:%d", p.low, p.top)
}

// all says that every port is meant.
func (p ports) all() bool { return p.low == 0 && p.top == 0xffff }

// among says whether a port, 0 for one that is not known, is in one of the ranges.
func among(port uint16, list []ports) answer {
	if port == 0 {
		return perhaps
	}
	for _, p := range list {
		if p.low <= port && port <= p.top {
			return yes
		}
	}
	return no
}

// matchPort is `--dport` or `--sport` of the protocol.
func matchPort(protocol uint8, source bool, p ports, invert bool) *test {
	option := "--dport "
	if source {
		option = "--sport "
	}
	return &test{text: "-m " + ProtocolName(protocol) + " " + not(invert) + option + p.String(), holds: func(w *walk) answer {
		if w.packet.Protocol != protocol {
			return no
		}
		port := w.packet.DestinationPort
		if source {
			port = w.packet.SourcePort
		}
		return among(port, []ports{p}).not(invert)
	}}
}

// matchFlags is `--tcp-flags`.
func matchFlags(mask, value uint8, invert bool) *test {
	text := fmt.Sprintf("-m tcp %s--tcp-flags %s %s", not(invert), flags(kindTCPFlags, uint32(mask)), flags(kindTCPFlags, uint32(value)))
	return &test{text: text, holds: func(w *walk) answer { return truth(w.packet.tcpFlags()&mask == value).not(invert) }}
}

// matchMultiport is `-m multiport`; which is sports, dports or ports.
func matchMultiport(which string, list []ports, invert bool) *test {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return &test{text: "-m multiport " + not(invert) + "--" + which + " " + strings.Join(texts, ","), holds: func(w *walk) answer {
		from, to := among(w.packet.SourcePort, list), among(w.packet.DestinationPort, list)
		switch which {
		case "sports":
			return from.not(invert)
		case "dports":
			return to.not(invert)
		}
		if from == yes || to == yes {
			return yes.not(invert)
		}
		return max(from, to).not(invert)
	}}
}

func matchMark(value, mask uint32, invert bool) *test {
	return &test{text: fmt.Sprintf("-m mark %s--mark %#x/%#x", not(invert), value, mask), holds: func(w *walk) answer {
		return truth(w.packet.Mark&mask == value).not(invert)
	}}
}

// matchName is an option that a link's name must fit; a name that ends in + stands for all that begin so.
func matchName(option, name string, invert bool, link func(p *Packet) Link) *test {
	return &test{text: not(invert) + option + " " + name, holds: func(w *walk) answer {
		return truth(nameFits(name, link(&w.packet).Name)).not(invert)
	}}
}

func nameFits(pattern, name string) bool {
	if start, wild := strings.CutSuffix(pattern, "+"); wild {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}

// matchPrefix is -s or -d.
func matchPrefix(option string, p netip.Prefix, invert bool) *test {
	text := p.String()
	if p.IsSingleIP() {
		text = p.Addr().String()
	}
	return &test{text: not(invert) + option + " " + text, holds: func(w *walk) answer {
		a := w.packet.Destination
		if option == "-s" {
			a = w.packet.Source
		}
		return truth(p.Contains(a)).not(invert)
	}}
}

func matchProtocol(name string, invert bool) *test {
	return &test{text: not(invert) + "-p " + name, holds: func(w *walk) answer {
		is := name == ProtocolName(w.packet.Protocol) || name == "all" || name == strconv.Itoa(int(w.packet.Protocol))
		return truth(is).not(invert)
	}}
}

// matchBridged are the options of `-m physdev` without a name.
func matchBridged(option string, invert bool) *test {
	return &test{text: "-m physdev " + not(invert) + option, holds: func(w *walk) answer {
		in, out := w.packet.PortIn.Name != "", w.packet.PortOut.Name != ""
		is := map[string]bool{"--physdev-is-in": in, "--physdev-is-out": out, "--physdev-is-bridged": in && out}[option]
		return truth(is).not(invert)
	}}
}

func portIn(p *Packet) Link  { return p.PortIn }
func portOut(p *Packet) Link { return p.PortOut }

// matchUnknown is an extension that is not understood.
func matchUnknown(text string) *test {
	return &test{text: text, holds: func(*walk) answer { return perhaps }, unknown: true}
}
