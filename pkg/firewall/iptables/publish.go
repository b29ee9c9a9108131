package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// published is a mapping as it was found.
type published struct {
	mapping
	chain string
	firewall.Holder
	known       bool // the ledger has a holder; else it is the reference's, or was left
	conditional bool // some packets pass it by
}

// who names whose mapping it is, as well as can be told.
func (p published) who(s *state) string {
	if p.known {
		return p.Text
	}
	return "a container of another suite of plugins, " + s.commentOf(p.chain)
}

// published lists all mappings that packets can get to.
func (s *state) published() (list []published) {
	seen := make(map[string]bool)
	for _, rule := range s.nat.chains[hostports] {
		entry := words(rule)
		chain := entry.value("-j")
		if seen[chain] {
			continue
		}
		seen[chain] = true
		for _, m := range s.nat.mappings(chain) {
			p := published{mapping: m, chain: chain, conditional: len(entry) > entryWords}
			p.Holder, p.known = s.holder(firewall.Publish, chain, m.target.Addr())
			list = append(list, p)
		}
	}
	return list
}

// byPackets finds who has what.
func byPackets(all []published) map[packets][]published {
	index := make(map[packets][]published, len(all))
	for _, p := range all {
		index[p.packets] = append(index[p.packets], p)
	}
	return index
}

// wanted turns the claim's ports into mappings, one each.
func (s *state) wanted(o Options, c firewall.Claim) (list []mapping, err error) {
	mark := o.MarkChain
	if mark == "" {
		mark = setMark
	} else if len(c.Ports) > 0 && masks(c) && !s.nat.has(mark) {
		return nil, fault.New(fault.Config, "make the chain, or leave the key out", "externalSetMarkChain: %q: no such chain in table nat of %s", mark, s.program)
	}
	for _, p := range c.Ports {
		list = append(list, s.mapping(p, mark))
	}
	return list, nil
}

// masks says whether any port of the claim needs its clients masqueraded, or would.
func masks(c firewall.Claim) bool {
	return slices.ContainsFunc(c.Ports, func(p firewall.Port) bool { return p.SNAT != firewall.SNATNone }) ||
		slices.ContainsFunc(c.Bare, func(b firewall.Bare) bool { return b.SNAT != firewall.SNATNone })
}

// holdPublish notes what is missing to the claim.
func (s *state) holdPublish(o owner.Owner, n names, c firewall.Claim, options Options) error {
	list, err := s.wanted(options, c)
	if err != nil {
		return err
	}
	ghosts, err := s.takeTargets(o, n, c, options)
	if err != nil {
		return err
	}
	chain, conditions := n.dnatChain(), options.conditions(s.is4)
	all := slices.DeleteFunc(s.published(), func(p published) bool { return p.known && slices.Contains(ghosts, p.ID) })
	has := byPackets(all)
	s.firm = c.First && s.together(o, c) == 0
	var led []mapping
	for i, p := range c.Ports {
		m, hidden := s.joined(o, list[i], has[list[i].packets], title(p))
		if hidden {
			continue
		}
		led = append(led, m)
		if conditions != "" {
			continue // packets that pass us by may be for another
		}
		if err := s.takePort(o, chain, p, m, has[m.packets]); err != nil {
			return err
		}
	}
	rest := append(others(all, chain, o), s.join(o, c, list, led, all)...)
	s.enter(o, c, s.conditioned(s.ledger(o, n, c), s.raw.has(ledgerChain(o, c.Role)), conditions))
	s.frame(options)
	asked := options.Asked
	if asked == nil {
		asked = askedFor(list)
	}
	if s.had(o) || s.has(o, chain) {
		asked = append(without(askedIn(s.nat.jumps(hostports, chain)), asked), asked...)
	}
	s.publish(n, append(rest, led...), asked, has, conditions)
	return nil
}

// has says whether anybody but the owner has a part in the chain, who may have asked for ports of which nothing is in it.
func (s *state) has(o owner.Owner, chain string) bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool {
		if e.role != firewall.Publish || e.ID == o.ID {
			return false // before its names, which are hashes: of entries there may be thousands
		}
		n, named := namesOf(e.Owner)
		return named && n.dnatChain() == chain
	})
}

// takeTargets sees to it that nobody else publishes ports of the container's addresses, since the host's routes lead to one of two containers that
// have one address: by an error if somebody lives who does, and else by deleting what he has. It returns whose mappings go.
func (s *state) takeTargets(o owner.Owner, own names, c firewall.Claim, options Options) (ghosts []owner.ID, err error) {
	claimed := addrs(c)
	for _, e := range s.entries {
		if e.role != firewall.Publish || e.ID == o.ID || !slices.Contains(claimed, e.addr) {
			continue
		}
		n, _ := namesOf(e.Owner)
		chain := n.dnatChain()
		if !s.leadsTo(chain, e.addr) {
			continue
		}
		if err := s.gives(e.Holder, "published address "+e.addr.String()); err != nil {
			return nil, err
		}
		ghosts = append(ghosts, e.ID)
		if chain != own.dnatChain() {
			s.differs(fmt.Sprintf("published address %s: expected it for %s, found it for %s", e.addr, o, e.Text))
			his := firewall.Claim{Ports: []firewall.Port{{Target: netip.AddrPortFrom(e.addr, 0)}}} // not what another suite has made under his names since
			s.dropPublish(e.Owner, n, his, options)
		}
	}
	return ghosts, nil
}

// takePort sees to it that nobody else has the port: by an error if somebody lives who has it, and else by deleting that mapping.
func (s *state) takePort(o owner.Owner, chain string, port firewall.Port, wanted mapping, there []published) error {
	found := "nothing"
	for _, p := range there {
		if p.conditional && p.chain != chain || p.beside(s, o) {
			continue
		}
		found = fmt.Sprintf("%s for %s", p.target, p.who(s))
		switch {
		case p.known && p.ID == o.ID && slices.Equal(p.rules, wanted.rules):
			return nil
		case p.known && p.ID == o.ID, !p.known && p.chain == chain:
		case p.known:
			if err := s.gives(p.Holder, title(port)); err != nil {
				return err
			}
			s.retract(p)
		default:
			if s.gone == nil || !s.gone(s.commentOf(p.chain), p.target.Addr()) {
				return firewall.HeldBy(title(port), p.who(s))
			}
			s.retract(p)
		}
	}
	s.differs(fmt.Sprintf("%s: expected %s for %s, found %s", title(port), wanted.target, o, found))
	return nil
}

// retract deletes one mapping of somebody dead. The entry may go on naming its port: the chain lets pass what it does not have.
func (s *state) retract(p published) {
	for _, rule := range p.rules {
		s.toNAT = append(s.toNAT, "-D "+p.chain+" "+rule)
	}
}

// frame notes what is missing of the chains that all containers share.
func (s *state) frame(o Options) {
	if s.masks && o.MarkChain == "" {
		mark := fmt.Sprintf("%#x/%#[1]x", 1<<o.MarkBit)
		s.ensure(setMark, `-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark `+mark)
		s.ensure(markMasq, "-m mark --mark "+mark+" -j MASQUERADE")
		if jump := `-m comment --comment "CNI portfwd requiring masquerade" -j ` + markMasq; !s.nat.contains(postrouting, jump) {
			s.toNAT = append(s.toNAT, "-I "+postrouting+" 1 "+jump) // before the chains that accept, which would end the traversal
			s.differs("chain " + postrouting + ": expected a jump to " + markMasq)
		}
	}
	s.ensure(hostports, "")
	s.ensure("PREROUTING", localJump)
	s.ensure("OUTPUT", localJump)
}

// localJump takes packets for the host's own addresses, and no others, to the published ports (CVE-2025-67499).
const localJump = "-m addrtype --dst-type LOCAL -j " + hostports

// ensure makes a shared chain have a rule among others.
func (s *state) ensure(chain, rule string) {
	if !s.nat.has(chain) && strings.HasPrefix(chain, "CNI-") {
		s.toNAT = append(s.toNAT, ":"+chain+" - [0:0]")
		s.differs("chain " + chain + ": expected, found none")
	}
	if rule != "" && !s.nat.contains(chain, rule) {
		s.toNAT = append(s.toNAT, "-A "+chain+" "+rule)
		s.differs("chain " + chain + ": expected the rule " + rule)
	}
}

// publish makes the chain, and the entries that lead to it, as they should be: in the order that was asked for. Where a port of one address is somebody
// else's on every address, the entry comes before all others, so that the specific one wins.
func (s *state) publish(n names, list []mapping, asked []Asked, has map[packets][]published, conditions string) {
	chain := n.dnatChain()
	var rules []string
	contested := make(map[packets]bool)
	for _, m := range ordered(list, s.nat.mappings(chain)) {
		rules = append(rules, m.rules...)
		everywhere := packets{protocol: m.protocol, port: m.port}
		if m.hostIP.IsValid() && slices.ContainsFunc(has[everywhere], func(p published) bool { return p.chain != chain }) {
			contested[everywhere] = true
		}
	}
	if rewrite(s.nat, &s.toNAT, chain, rules) {
		s.differs(fmt.Sprintf("chain %s: expected %d rules, found %d", chain, len(rules), len(s.nat.chains[chain])))
	}
	have := s.nat.jumps(hostports, chain)
	if !s.renewed && leads(have, asked, n) {
		return
	}
	if s.joins && leads(unconditional(have), asked, n) {
		return
	}
	s.differs(fmt.Sprintf("chain %s: expected entries for all ports of chain %s", hostports, chain))
	for _, rule := range have {
		if !s.joins {
			s.cut(hostports, rule)
		}
	}
	front, back := parted(asked, contested)
	stays := func(rule string) bool { return s.joins && slices.Contains(have, rule) }
	for _, rule := range slices.Backward(slices.DeleteFunc(entries(front, n.dnatComment(), conditions, chain), stays)) {
		s.toNAT = append(s.toNAT, "-I "+hostports+" 1 "+rule)
	}
	for _, rule := range slices.DeleteFunc(entries(back, n.dnatComment(), conditions, chain), stays) {
		s.toNAT = append(s.toNAT, "-A "+hostports+" "+rule)
	}
}

// dropPublish notes what goes: the owner's mappings; what nobody is known to have, as the reference leaves it, if it leads to one of the
// claim's addresses, or if the claim names none; and the chain, if nothing is left in it. The historic chain goes as well.
func (s *state) dropPublish(o owner.Owner, n names, c firewall.Claim, options Options) {
	chain := n.dnatChain()
	var rest, gone []mapping
	for _, m := range s.nat.mappings(chain) {
		h, known := s.holder(firewall.Publish, chain, m.target.Addr())
		claimed := len(c.Ports) == 0 || slices.Contains(addrs(c), m.target.Addr())
		if known && h.ID != o.ID || !known && !claimed {
			rest = append(rest, m)
		} else {
			gone = append(gone, m)
		}
	}
	asked := askedFor(rest)
	if s.has(o, chain) {
		asked = without(askedIn(s.nat.jumps(hostports, chain)), askedFor(gone))
	}
	if s.nat.has(chain) && len(asked) > 0 {
		s.renewed = true
		s.publish(n, rest, asked, byPackets(s.published()), options.conditions(s.is4))
	} else {
		s.raze(hostports, chain)
	}
	s.raze(oldSNAT, n.oldChain())
}

// raze removes a chain and what leads to it.
func (s *state) raze(from, chain string) {
	for _, rule := range s.nat.jumps(from, chain) {
		s.cut(from, rule)
	}
	dissolve(s.nat, &s.toNAT, chain)
}
