package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

const postrouting = "POSTROUTING"

// isMasq says whether a chain is an attachment's chain for masquerade, of the reference's or ours.
func isMasq(chain string) bool {
	digits, ok := strings.CutPrefix(chain, "CNI-")
	return ok && len(digits) == 24 && strings.Trim(digits, "0123456789abcdef") == ""
}

// holdMasq notes what is missing to the claim. The chain may have other addresses' rules in it: those of another interface of the
// container on the same network, which has the same chain.
func (s *state) holdMasq(o owner.Owner, n names, c firewall.Claim) error {
	chain := n.masqChain()
	for _, m := range c.Masq {
		if err := s.takeAddress(o, chain, m.Addr); err != nil {
			return err
		}
	}
	s.leaveAddresses(o, chain, c)
	rules := s.masqRules(n, c)
	if s.shared(o, chain) {
		for _, rule := range s.nat.chains[chain] {
			if !slices.Contains(rules, rule) {
				rules = append(rules[:len(rules):len(rules)], rule)
			}
		}
		if len(rules) == len(s.nat.chains[chain]) { // only in another order, which the verdicts allow
			rules = s.nat.chains[chain]
		}
	}
	if rewrite(s.nat, &s.toNAT, chain, rules) {
		s.differs(fmt.Sprintf("chain %s: expected %d rules for %v, found others", chain, len(rules), addrs(c)))
	}
	for _, m := range c.Masq {
		entry := fmt.Sprintf("-s %s %s -j %s", s.host(m.Addr), n.masqComment(), chain)
		if !s.nat.contains(postrouting, entry) {
			s.toNAT = append(s.toNAT, "-A "+postrouting+" "+entry)
			s.differs(fmt.Sprintf("masqueraded address %s: expected a rule for %s, found none", m.Addr, o))
		}
	}
	return nil
}

// masqRules is what the chain has for the claim. As in the reference, those who accept end the traversal; all must come before those
// who masquerade.
func (s *state) masqRules(n names, c firewall.Claim) (rules []string) {
	for _, m := range c.Masq {
		for _, inside := range append([]netip.Prefix{m.Subnet}, m.Except...) {
			rule := to(inside) + n.masqComment() + " -j ACCEPT"
			if !slices.Contains(rules, rule) {
				rules = append(rules, rule)
			}
		}
	}
	return append(rules, fmt.Sprintf("! -d %s %s -j MASQUERADE", s.multicast, n.masqComment()))
}

// to matches a destination. What matches all is not printed.
func to(p netip.Prefix) string {
	if p.Bits() == 0 {
		return ""
	}
	return fmt.Sprintf("-d %s ", p)
}

// takeAddress sees to it that no other chain masquerades the address: by an error if somebody has it, and else by deleting what was left.
func (s *state) takeAddress(o owner.Owner, chain string, a netip.Addr) error {
	for _, rule := range s.nat.chains[postrouting] {
		other := value(rule, "-j")
		if value(rule, "-s") != s.host(a) || !isMasq(other) {
			continue
		}
		h, known := s.holder(firewall.Masquerade, other, a)
		if known && h.ID == o.ID || !known && other == chain {
			continue
		}
		if known {
			if err := s.gives(h, "masqueraded address "+a.String()); err != nil {
				return err
			}
		}
		s.cut(postrouting, rule)
		if !s.nat.referenced(other, s.going...) {
			dissolve(s.nat, &s.toNAT, other)
		}
		s.differs(fmt.Sprintf("masqueraded address %s: expected it for %s, found it for %s", a, o, value(rule, "--comment")))
	}
	return nil
}

// leaveAddresses deletes the entries of addresses that the owner has and does not claim.
func (s *state) leaveAddresses(o owner.Owner, chain string, c firewall.Claim) {
	for _, rule := range s.nat.jumps(postrouting, chain) {
		a := source(rule).Addr()
		if s.addressOf(o, firewall.Masquerade, a) && !slices.Contains(addrs(c), a) {
			s.cut(postrouting, rule)
		}
	}
}

// shared says whether another attachment uses the chain.
func (s *state) shared(o owner.Owner, chain string) bool {
	for _, rule := range s.nat.jumps(postrouting, chain) {
		if !s.addressOf(o, firewall.Masquerade, source(rule).Addr()) && !slices.Contains(s.going, rule) {
			return true
		}
	}
	return false
}

// source is what a rule has after -s; the zero Prefix where that is nothing.
func source(rule string) netip.Prefix {
	p, _ := netip.ParsePrefix(value(rule, "-s"))
	return p
}

// dropMasq notes what goes: the owner's entries; what nobody is known to have, as the reference leaves it, if it is for one of the
// claim's addresses, or if the claim names none; and the chain, if nothing leads to it any more.
func (s *state) dropMasq(o owner.Owner, n names, c firewall.Claim) {
	chain := n.masqChain()
	for _, rule := range s.nat.jumps(postrouting, chain) {
		from := source(rule)
		h, known := s.holder(firewall.Masquerade, chain, from.Addr())
		claimed := len(c.Masq) == 0 || slices.ContainsFunc(addrs(c), from.Contains) // the oldest versions wrote the subnet
		if known && h.ID == o.ID || !known && claimed {
			s.cut(postrouting, rule)
		}
	}
	if !s.nat.referenced(chain, s.going...) {
		dissolve(s.nat, &s.toNAT, chain)
	}
}
