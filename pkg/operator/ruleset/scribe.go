package ruleset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// scribe writes a rule for people: it follows what is in which register.
type scribe struct {
	table    *Table
	compat   bool // in the words of iptables
	wide     bool // the table is of more than one family
	symbols  map[int]symbol
	list     []string
	pending  string // a condition that goes without saying if a field of that protocol follows
	protocol string
}

// symbol is what a register holds.
type symbol struct {
	name  string
	kind  kind
	size  int
	mask  []byte
	value []byte // of a constant
}

// words writes the rule.
func (t *Table) words(r *Rule) string {
	s := &scribe{table: t, compat: t.Flavour != NFTables, wide: t.Family != "ip" && t.Family != "ip6", symbols: make(map[int]symbol)}
	for _, p := range r.parts {
		p.write(s)
	}
	s.settle()
	if r.Comment != "" && !s.compat {
		s.list = append(s.list, "comment "+strconv.Quote(r.Comment))
	}
	return strings.Join(s.list, " ")
}

func (s *scribe) settle() {
	if s.pending != "" {
		s.list = append(s.list, s.pending)
		s.pending = ""
	}
}

func (s *scribe) say(text string) {
	s.settle()
	if text != "" {
		s.list = append(s.list, text)
	}
}

// then says what happens, in the words of the tool.
func (s *scribe) then(nft, iptables string) {
	if s.compat {
		nft = iptables
	}
	s.say(nft)
}

func (j *jump) write(s *scribe) {
	words := map[int32]string{0: "-j DROP", 1: "-j ACCEPT", unix.NFT_RETURN: "-j RETURN", unix.NFT_JUMP: "-j " + j.chain, unix.NFT_GOTO: "-g " + j.chain}
	s.then(j.nft(), words[j.code])
}

// nft is the verdict in the words of nft(8).
func (j *jump) nft() string {
	switch j.code {
	case unix.NFT_JUMP:
		return "jump " + j.chain
	case unix.NFT_GOTO:
		return "goto " + j.chain
	case unix.NFT_RETURN:
		return "return"
	case unix.NFT_CONTINUE:
		return "continue"
	case 0:
		return "drop"
	case 1:
		return "accept"
	}
	return "queue"
}

func (s *scribe) load(to uint32, size int, name string, k kind) {
	s.symbols[register(to)] = symbol{name: name, kind: k, size: size}
}

func (s *scribe) constant(to uint32, value []byte) {
	s.symbols[register(to)] = symbol{size: len(value), value: value}
}

func (s *scribe) copy(from, to uint32) {
	s.symbols[register(to)] = s.symbols[register(from)]
}

func (s *scribe) bits(from, to uint32, mask, xor []byte) {
	sym := s.symbols[register(from)]
	sym.mask = mask
	if !bytes.Equal(xor, make([]byte, len(xor))) { // the setting of bits: all but the mask are kept, and others set
		if sym.kind == kindMark {
			sym.name += fmt.Sprintf(" and %s xor %s", kindMark.format(mask), kindMark.format(xor))
		} else {
			sym.name += " changed"
		}
		sym.mask = nil
	}
	s.symbols[register(to)] = sym
}

func (p *payload) write(s *scribe) {
	name, k := s.field(p.base, p.at, p.size)
	s.load(p.to, p.size, name, k)
}

// field names bytes of a packet by where they are.
func (s *scribe) field(base uint32, at, size int) (string, kind) {
	switch base {
	case unix.NFT_PAYLOAD_LL_HEADER:
		switch at {
		case 0:
			return "ether daddr", kindEther
		case 6:
			return "ether saddr", kindEther
		case 12:
			return "ether type", kindEtherType
		}
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		if name, k := networkField(at, size); name != "" {
			s.pending = ""
			return name, k
		}
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		if name, k := s.transportField(at, size); name != "" {
			return name, k
		}
	}
	return fmt.Sprintf("@%s,%d,%d", map[uint32]string{0: "ll", 1: "nh", 2: "th"}[base], at*8, size*8), 0
}

func networkField(at, size int) (string, kind) {
	switch {
	case at == 9 && size == 1:
		return "ip protocol", kindProtocol
	case at == 6 && size == 1:
		return "ip6 nexthdr", kindProtocol
	case at == 12 && size <= 4:
		return "ip saddr", kindIPv4
	case at == 16 && size <= 4:
		return "ip daddr", kindIPv4
	case at == 8 && size == 1:
		return "ip ttl", kindInteger
	case at == 8:
		return "ip6 saddr", kindIPv6
	case at == 24:
		return "ip6 daddr", kindIPv6
	}
	return "", 0
}

func (s *scribe) transportField(at, size int) (string, kind) {
	protocol := s.protocol
	if protocol == "" {
		protocol = "th"
	}
	switch {
	case at == 0 && size == 2:
		s.pending = ""
		return protocol + " sport", kindPort
	case at == 2 && size == 2:
		s.pending = ""
		return protocol + " dport", kindPort
	case at == 0 && size == 1 && strings.Contains(protocol, "icmp"):
		s.pending = ""
		return protocol + " type", kindInteger
	case at == 13 && protocol == "tcp":
		s.pending = ""
		return "tcp flags", kindTCPFlags
	}
	return "", 0
}

// keep holds back what goes without saying if a field of the protocol follows.
func (s *scribe) keep(name, op string, value []byte) bool {
	if op != "" || len(value) == 0 {
		return false
	}
	if s.compat {
		if options[name] == "-p" {
			s.protocol = kindProtocol.format(value)
		}
		return false
	}
	switch name {
	case "meta l4proto", "ip protocol", "ip6 nexthdr":
		s.protocol = kindProtocol.format(value)
		s.settle()
		s.pending = name + " " + s.protocol
		return true
	case "meta nfproto", "meta protocol", "ether type":
		k := map[string]kind{"meta nfproto": kindNFProto}[name]
		if k == 0 {
			k = kindEtherType
		}
		s.settle()
		s.pending = name + " " + k.format(value)
		return true
	}
	return false
}

// port is ":" and what the register holds.
func (s *scribe) port(from uint32) string {
	if from == 0 {
		return ""
	}
	sym := s.symbols[register(from)]
	if len(sym.value) >= 2 {
		return ":" + strconv.Itoa(int(binary.BigEndian.Uint16(sym.value)))
	}
	return "" // part of what the address register holds
}

// value is what the register holds, as a kind.
func (s *scribe) value(from uint32, k kind) string {
	sym := s.symbols[register(from)]
	if sym.value != nil {
		return k.format(sym.value)
	}
	if sym.mask != nil {
		return sym.name + " and " + k.format(sym.mask)
	}
	return sym.name
}
