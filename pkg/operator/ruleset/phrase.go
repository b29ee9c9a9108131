package ruleset

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// options are the words of iptables for what a rule asks by itself; matches of iptables write their own.
var options = map[string]string{"ip saddr": "-s", "ip daddr": "-d", "ip6 saddr": "-s", "ip6 daddr": "-d", "iifname": "-i", "oifname": "-o",
	"ip protocol": "-p", "ip6 nexthdr": "-p", "meta l4proto": "-p", "tcp dport": "--dport", "udp dport": "--dport", "sctp dport": "--dport",
	"tcp sport": "--sport", "udp sport": "--sport"}

// compare writes a comparison: as a prefix, as flags, or as it is.
func (s *scribe) compare(from uint32, op string, value []byte) {
	sym := s.symbols[register(from)]
	if s.keep(sym.name, op, value) {
		return
	}
	text := sym.kind.format(value)
	switch {
	case sym.kind == kindIPv4 || sym.kind == kindIPv6:
		text = prefix(sym, value)
	case sym.mask != nil && len(flagNames[sym.kind]) > 0 && op == "!=" && bytes.Equal(value, make([]byte, len(value))):
		text, op = sym.kind.format(sym.mask), ""
	case sym.mask != nil:
		sym.name += " and " + sym.kind.format(sym.mask)
		if op == "" {
			op = "=="
		}
	}
	s.phrase(sym.name, op, text)
}

// phrase says `name op text`, in the words of the tool.
func (s *scribe) phrase(name, op, text string) {
	if option := options[name]; s.compat && option != "" && (op == "" || op == "!=") {
		text = strings.ReplaceAll(strings.Trim(text, `"`), "*", "+")
		name, op = option, map[string]string{"": "", "!=": "! "}[op]
		s.say(op + name + " " + text)
		return
	}
	if op != "" {
		op += " "
	}
	s.say(name + " " + op + text)
}

// prefix writes an address that was compared in part: by a mask, or by its first bytes.
func prefix(sym symbol, value []byte) string {
	size := sym.kind.size()
	if len(value) > size || len(sym.mask) > size {
		return "0x" + hex.EncodeToString(value)
	}
	bits := len(value) * 8
	if sym.mask != nil {
		n, ok := maskBits(sym.mask)
		if !ok {
			return sym.kind.format(padded(value, size)) + "/" + sym.kind.format(padded(sym.mask, size))
		}
		bits = n
	}
	text := sym.kind.format(padded(value, size))
	if bits == size*8 {
		return text
	}
	return text + "/" + strconv.Itoa(bits)
}

func (s *scribe) between(from uint32, not bool, low, top []byte) {
	sym := s.symbols[register(from)]
	op := ""
	if not {
		op = "!="
	}
	s.phrase(sym.name, op, sym.kind.format(low)+"-"+sym.kind.format(top))
}

// search writes the looking up of one or several fields.
func (s *scribe) search(p *search) {
	set := s.table.Set(p.name)
	where, size := "@"+p.name, 0
	if set != nil {
		size = set.keySize
		if set.anonymous {
			where = set.inline()
		}
	}
	var names []string
	at := register(p.from)
	for covered := 0; covered < max(size, 1); {
		sym := s.symbols[at+covered]
		if sym.name == "" {
			break
		}
		names = append(names, sym.name)
		covered += max((sym.size+3)/4*4, 4)
	}
	key := strings.Join(names, " . ")
	switch {
	case p.isMap && p.to == unix.NFT_REG_VERDICT:
		s.say(key + " vmap " + where)
	case p.isMap:
		s.settle()
		s.symbols[register(p.to)] = symbol{name: key + " map " + where}
	case p.not:
		s.phrase(key, "!=", where)
	default:
		s.phrase(key, "", where)
	}
}
