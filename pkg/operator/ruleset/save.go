package ruleset

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reader reads the words of one rule as iptables-save writes them.
type reader struct {
	words    []string
	rule     *Rule
	module   string // after -m
	protocol uint8
}

func (r *reader) read() {
	for len(r.words) > 0 {
		invert := r.words[0] == "!"
		if invert {
			r.next()
		}
		option := r.next()
		switch option {
		case "-j", "-g":
			r.target(r.next(), option == "-g")
			return
		case "-m":
			r.module = r.next()
		default:
			r.option(option, invert)
		}
	}
}

func (r *reader) next() string {
	if len(r.words) == 0 {
		return ""
	}
	word := r.words[0]
	r.words = r.words[1:]
	return word
}

func (r *reader) add(p part) {
	if t, ok := p.(*test); ok && t.unknown {
		r.rule.Unread = append(r.rule.Unread, t.text)
	}
	r.rule.parts = append(r.rule.parts, p)
}

// option reads one option with its values.
func (r *reader) option(option string, invert bool) {
	switch option {
	case "-s", "-d":
		r.prefix(option, invert)
	case "-i":
		r.add(matchName("-i", r.next(), invert, func(p *Packet) Link { return p.In }))
	case "-o":
		r.add(matchName("-o", r.next(), invert, func(p *Packet) Link { return p.Out }))
	case "-p":
		name := r.next()
		r.protocol = protocolNumber(name)
		r.add(matchProtocol(name, invert))
	case "--comment":
		r.rule.Comment = r.next()
		r.add(&remark{r.rule.Comment})
	case "--ctstate", "--state":
		r.add(matchState(bitsOf(stateNames, r.next()), invert))
	case "--ctstatus":
		r.add(matchStatus(bitsOf(flagNames[kindCtStatus], strings.ReplaceAll(strings.ToLower(r.next()), "_", "-")), invert))
	case "--src-type", "--dst-type":
		r.addrType(option == "--src-type", invert)
	case "--mark":
		value, mask := masked(r.next())
		r.add(matchMark(value, mask, invert))
	case "--physdev-in":
		r.add(matchName("-m physdev "+option, r.next(), invert, portIn))
	case "--physdev-out":
		r.add(matchName("-m physdev "+option, r.next(), invert, portOut))
	case "--physdev-is-in", "--physdev-is-out", "--physdev-is-bridged":
		r.add(matchBridged(option, invert))
	default:
		r.portOption(option, invert)
	}
}

// portOption reads the options about ports, and leaves those that are unknown with their values.
func (r *reader) portOption(option string, invert bool) {
	switch {
	case (option == "--dport" || option == "--sport") && r.protocol != 0:
		r.add(matchPort(r.protocol, option == "--sport", portRange(r.next()), invert))
	case option == "--dports" || option == "--sports" || option == "--ports":
		var list []ports
		for _, text := range strings.Split(r.next(), ",") {
			list = append(list, portRange(text))
		}
		r.add(matchMultiport(option[2:], list, invert))
	case option == "--tcp-flags":
		mask := bitsOf(flagNames[kindTCPFlags], strings.ToLower(r.next()))
		r.add(matchFlags(uint8(mask), uint8(bitsOf(flagNames[kindTCPFlags], strings.ToLower(r.next()))), invert))
	default:
		text := "-m " + r.module + " " + option
		for len(r.words) > 0 && !strings.HasPrefix(r.words[0], "-") && r.words[0] != "!" {
			text += " " + r.next()
		}
		r.strange(text)
	}
}

// strange adds what is not understood; several options of one match are one such thing.
func (r *reader) strange(text string) {
	if n := len(r.rule.parts); n > 0 {
		if last, ok := r.rule.parts[n-1].(*test); ok && last.unknown && strings.HasPrefix(last.text, "-m "+r.module+" ") {
			last.text += strings.TrimPrefix(text, "-m "+r.module)
			r.rule.Unread[len(r.rule.Unread)-1] = last.text
			return
		}
	}
	r.add(matchUnknown(text))
}

func (r *reader) prefix(option string, invert bool) {
	text := r.next()
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil { // a mask that is no prefix
			r.add(matchUnknown(option + " " + text))
			return
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	r.add(matchPrefix(option, p.Masked(), invert))
}

func (r *reader) addrType(source, invert bool) {
	mask := bitsOf(addrTypes, strings.ToLower(r.next()))
	limit := ""
	if len(r.words) > 0 {
		if side, ok := strings.CutPrefix(r.words[0], "--limit-iface-"); ok {
			limit = side
			r.next()
		}
	}
	r.add(matchAddrType(source, mask, invert, limit))
}

// target reads what follows -j or -g.
func (r *reader) target(name string, goTo bool) {
	switch {
	case name == "ACCEPT":
		r.add(&jump{code: 1})
	case name == "DROP":
		r.add(&jump{code: 0})
	case name == "RETURN":
		r.add(&jump{code: unix.NFT_RETURN})
	case name == "REJECT":
		r.add(&refusal{})
	case name == "MASQUERADE":
		r.add(&masquerade{})
	case name == "DNAT" || name == "SNAT" || name == "REDIRECT":
		r.add(r.translation(name))
	case name == "MARK" && len(r.words) > 1 && r.words[0] == "--set-xmark":
		value, mask := masked(r.words[1])
		r.add(&setMark{value, mask})
	case name == "NOTRACK" || name == "CT" && slices.Contains(r.words, "--notrack"):
		r.add(&untrack{})
	case name == "CT" || slices.Contains(harmless, name):
		r.add(&effect{"-j " + name})
	case slices.Contains(foreignTargets, name):
		r.add(matchUnknown("-j " + name))
	case goTo:
		r.add(&jump{unix.NFT_GOTO, name})
	default:
		r.add(&jump{unix.NFT_JUMP, name})
	}
}

// foreignTargets are extensions that are not understood. Any other name is a chain.
var foreignTargets = []string{"QUEUE", "NFQUEUE", "TPROXY", "TEE", "NETMAP", "SYNPROXY", "CLUSTERIP", "RATEEST",
	"LED", "HMARK", "SNPT", "DNPT", "TCPOPTSTRIP"}

// translation reads `--to-destination address:port` and its like.
func (r *reader) translation(name string) part {
	d := &destination{source: name == "SNAT", self: name == "REDIRECT"}
	r.next()
	to := r.next()
	if strings.Contains(to, ",") || len(r.words) > 0 && !strings.HasPrefix(r.words[0], "--") {
		return matchUnknown("-j " + name + " to several")
	}
	to, _, _ = strings.Cut(to, "-") // the first of a range
	switch {
	case d.self:
		d.port = portRange(to).low
	case strings.HasPrefix(to, ":"):
		d.port = portRange(to[1:]).low
	default:
		if ap, err := netip.ParseAddrPort(to); err == nil {
			d.addr, d.port = ap.Addr(), ap.Port()
		} else if a, err := netip.ParseAddr(strings.Trim(to, "[]")); err == nil {
			d.addr = a
		}
	}
	return d
}

// bitsOf joins the numbers of names.
func bitsOf(names []string, list string) (mask uint32) {
	for _, name := range strings.Split(list, ",") {
		if i := slices.Index(names, name); i >= 0 {
			mask |= 1 << i
		}
		if strings.EqualFold(name, "all") {
			mask |= 0x3f
		}
	}
	return mask
}

func masked(text string) (value, mask uint32) {
	first, second, both := strings.Cut(text, "/")
	v, _ := strconv.ParseUint(first, 0, 32)
	m := uint64(0xffffffff)
	if both {
		m, _ = strconv.ParseUint(second, 0, 32)
	}
	return uint32(v), uint32(m)
}

func portRange(text string) ports {
	low, top, both := strings.Cut(text, ":")
	if !both {
		top = low
	}
	from, _ := strconv.ParseUint(low, 10, 16)
	to, err := strconv.ParseUint(top, 10, 16)
	if err != nil {
		to = 0xffff
	}
	return ports{uint16(from), uint16(to)}
}

func protocolNumber(name string) uint8 {
	for _, n := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		if ProtocolName(n) == name {
			return n
		}
	}
	n, _ := strconv.ParseUint(name, 10, 8)
	return uint8(n)
}
