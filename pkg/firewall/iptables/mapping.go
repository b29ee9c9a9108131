package iptables

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// packets are those that a mapping is for.
type packets struct {
	protocol string
	hostIP   netip.Addr // zero: every address
	port     uint16
}

// mapping is one published port in the rules: some that mark what is to be masqueraded, then the one that translates.
type mapping struct {
	rules []string
	packets
	target netip.AddrPort
}

// mappings reads an attachment's chain. What follows the last translation is nobody's.
func (r *ruleset) mappings(chain string) (list []mapping) {
	var m mapping
	for _, rule := range r.chains[chain] {
		m.rules = append(m.rules, rule)
		all := words(rule)
		if all.value("-j") != "DNAT" {
			continue
		}
		m.protocol = all.value("-p")
		if p, err := netip.ParsePrefix(all.value("-d")); err == nil {
			m.hostIP = p.Addr()
		}
		port, _ := strconv.ParseUint(all.value("--dport"), 10, 16) // one that is none matches nothing that we claim
		m.port = uint16(port)
		m.target, _ = netip.ParseAddrPort(all.value("--to-destination"))
		list = append(list, m)
		m = mapping{}
	}
	return list
}

// mapping turns a port into rules, in the form in which iptables-save prints what the reference writes.
func (f family) mapping(p firewall.Port, mark string) mapping {
	m := mapping{packets: packets{firewall.ProtocolName(p.Protocol), hostIP(p), p.HostPort}, target: p.Target}
	match := fmt.Sprintf("-p %[1]s -m %[1]s --dport %[2]d ", m.protocol, m.port)
	if m.hostIP.IsValid() {
		match = "-d " + f.host(m.hostIP) + " " + match
	}
	from := func(source string) { m.rules = append(m.rules, source+match+"-j "+mark) }
	switch {
	case p.SNAT == firewall.SNATAll:
		from("")
	case p.SNAT == firewall.SNATHairpin:
		if p.Subnet.IsValid() && p.Subnet.Bits() > 0 {
			from(fmt.Sprintf("-s %s ", p.Subnet))
		}
		switch {
		case f.is4:
			from("-s 127.0.0.1/32 ")
		case m.hostIP == netip.IPv6Loopback(): // the reference has no such rule, and nothing is reached by it there
			from("-s ::1/128 ")
		}
	}
	m.rules = append(m.rules, match+"-j DNAT --to-destination "+m.target.String())
	return m
}

// most is how many ports the match multiport takes (XT_MULTI_PORTS).
const most = 15

// entryWords is how many words an entry has that has no conditions.
const entryWords = 12

// askedFor is what a runtime would have asked for that wants the mappings.
func askedFor(list []mapping) (asked []Asked) {
	for _, m := range list {
		asked = append(asked, Asked{m.protocol, m.port})
	}
	return asked
}

// askedIn is what was asked for, by the entries.
func askedIn(rules []string) (asked []Asked) {
	for _, rule := range rules {
		for text := range strings.SplitSeq(value(rule, "--dports"), ",") {
			port, _ := strconv.ParseUint(text, 10, 16) // what is none was not asked for
			asked = append(asked, Asked{value(rule, "-p"), uint16(port)})
		}
	}
	return asked
}

// without returns the list less what is in the other.
func without(list, other []Asked) []Asked {
	return slices.DeleteFunc(list, func(a Asked) bool {
		return slices.ContainsFunc(other, func(b Asked) bool { return a.Port == b.Port && strings.EqualFold(a.Protocol, b.Protocol) })
	})
}

// entries returns the rules that lead what was asked for to the chain, protocol by protocol.
func entries(asked []Asked, comment, conditions, chain string) (rules []string) {
	ports := make(map[string][]string)
	for _, a := range asked {
		ports[a.Protocol] = append(ports[a.Protocol], strconv.Itoa(int(a.Port)))
	}
	for _, protocol := range slices.Sorted(maps.Keys(ports)) {
		for some := range slices.Chunk(ports[protocol], most) {
			rule := fmt.Sprintf("-p %s %s -m multiport --dports %s %s-j %s",
				strings.ToLower(protocol), comment, strings.Join(some, ","), conditions, chain)
			if !slices.Contains(rules, rule) { // the same ports in capitals, too
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// parted are those that come before all others' entries, and the rest.
func parted(asked []Asked, contested map[packets]bool) (front, back []Asked) {
	for _, a := range asked {
		if contested[packets{protocol: strings.ToLower(a.Protocol), port: a.Port}] {
			front = append(front, a)
		} else {
			back = append(back, a)
		}
	}
	return front, back
}
