package iptables

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// What several entries of one list hold together, as one owner: his ledger, his chain and what leads to it have what each of them wants.

// besides are the rules of a ledger beside those that another entry of the owner's list has put there. Of an address, the life and the number there is one.
func (s *state) besides(chain string, rules []string) (all []string) {
	subject := func(rule string) string {
		for _, sign := range []string{firewall.LifeSign, severalSign} {
			if strings.HasPrefix(value(rule, "--comment"), sign) {
				return sign
			}
		}
		return value(rule, "-s") + value(rule, "-d")
	}
	for _, rule := range s.raw.chains[chain] {
		same := func(r string) bool { return subject(r) != "" && subject(r) == subject(rule) }
		if slices.Contains(rules, rule) || !slices.ContainsFunc(rules, same) && !(s.firm && value(rule, "-s")+value(rule, "-d") != "") {
			all = append(all, rule)
		}
	}
	for _, rule := range rules {
		if !slices.Contains(all, rule) {
			all = append(all, rule)
		}
	}
	return all
}

// conditioned is the ledger with the conditions under which the claim's entries are. Where another entry of the owner's list has others, or none, each has its line, and
// the entries of both stand.
func (s *state) conditioned(ledger []string, had bool, words string) []string {
	const sign = "conditions "
	of := func(rule string) bool { return strings.HasPrefix(value(rule, "--comment"), sign) }
	some := slices.ContainsFunc(ledger, of)
	if words != "" && had && !some {
		ledger = append(ledger, comment(sign)) // those that are there have none
	}
	if mine := comment(sign + words); (words != "" || some) && !slices.Contains(ledger, mine) {
		ledger = append(ledger, mine)
	}
	kinds := slices.DeleteFunc(slices.Clone(ledger), func(rule string) bool { return !of(rule) })
	s.joins = len(kinds) > 1
	return ledger
}

// had says whether the owner publishes already.
func (s *state) had(o owner.Owner) bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool { return e.role == firewall.Publish && e.ID == o.ID })
}

// joined is the mapping with what another entry of the owner's list has of it, which marks more packets or others. Where that leads elsewhere it is hidden: the first counts.
func (s *state) joined(o owner.Owner, m mapping, there []published, title string) (_ mapping, hidden bool) {
	for _, p := range there {
		if s.firm || !p.known || p.ID != o.ID {
			continue
		}
		if p.target != m.target {
			s.hidden = append(s.hidden, firewall.LeadsElsewhere(title, p.target, m.target))
			return m, true
		}
		last := len(m.rules) - 1
		match, _, _ := strings.Cut(m.rules[last], "-j ")
		marks := slices.DeleteFunc(slices.Clone(p.rules[:len(p.rules)-1]), func(rule string) bool {
			source, target, _ := strings.Cut(rule, "-j ")
			return !strings.HasSuffix(source, match) || !s.nat.has(target) // not as ours are
		})
		for _, rule := range m.rules[:last] {
			if !slices.Contains(marks, rule) {
				marks = append(marks, rule)
			}
		}
		m.rules = append(marks, m.rules[last])
	}
	return m, false
}

// severalSign begins the line of a ledger whose owner has more than one claim, with the number of mappings that they want together.
const severalSign = "several "

// together is that number, 0 where the owner is not known to have more than one.
func (s *state) together(o owner.Owner, c firewall.Claim) (n int) {
	for _, rule := range s.raw.chains[ledgerChain(o, c.Role)] {
		if text, found := strings.CutPrefix(value(rule, "--comment"), severalSign); found {
			n, _ = strconv.Atoi(text) // what is none is as if there were none
		}
	}
	return n
}

// join returns the mappings of the chain that stay beside those that are led, and counts what the owner's claims want together: anew, where one of the claim's is missing.
func (s *state) join(o owner.Owner, c firewall.Claim, list, led []mapping, all []published) (rest []mapping) {
	own, beside := []mapping(nil), 0
	for _, p := range all {
		if !p.known || p.ID != o.ID {
			continue
		}
		own = append(own, p.mapping)
		switch {
		case slices.ContainsFunc(led, func(m mapping) bool { return m.packets == p.packets }):
		case s.firm:
			s.differs(fmt.Sprintf("%s: expected nothing, found %s for %s", title(p.asPort()), p.target, o))
		default:
			rest, beside = append(rest, p.mapping), beside+1
		}
	}
	there := func(m mapping) bool {
		return slices.ContainsFunc(own, func(h mapping) bool { return h.packets == m.packets && h.target == m.target })
	}
	now := len(led) + beside
	switch s.several = s.together(o, c); {
	case s.several > 0 && !slices.ContainsFunc(led, func(m mapping) bool { return !there(m) }):
		if s.unasked = s.several != now; s.unasked {
			s.differs(fmt.Sprintf("ports of %s: expected %d, found %d", o, s.several, now))
		}
	case s.several > 0 || !s.firm && s.raw.has(ledgerChain(o, c.Role)) && !sameMappings(list, own):
		s.several = now
	}
	return rest
}

// joinPass counts the addresses that the owner's claims to pass want together, where they are several. What he has beside his only claim goes.
func (s *state) joinPass(o owner.Owner, c firewall.Claim) {
	had, beside := 0, []netip.Addr(nil)
	for _, e := range s.entries {
		if e.ID != o.ID || e.role != firewall.Forward {
			continue
		}
		if had++; !slices.Contains(c.Pass, e.addr) {
			beside = append(beside, e.addr)
		}
	}
	all := len(c.Pass) + len(beside)
	s.several = s.together(o, c)
	s.firm = c.First && s.several == 0
	switch {
	case s.firm:
		s.dropAddresses(o, beside)
		for _, a := range beside {
			s.differs(fmt.Sprintf("address %s: expected nothing of %s, found that it passes", a, o))
		}
	case s.several > 0, had > 0 && (had < all || len(beside) > 0):
		s.several = all
	}
}

// others are the mappings of the chain that are somebody else's.
func others(all []published, chain string, o owner.Owner) (rest []mapping) {
	for _, p := range all {
		if p.chain == chain && p.known && p.ID != o.ID {
			rest = append(rest, p.mapping)
		}
	}
	return rest
}

// unconditional are the entries that have no conditions: what they lead, no other need lead.
func unconditional(rules []string) []string {
	return slices.DeleteFunc(slices.Clone(rules), func(rule string) bool { return len(words(rule)) > entryWords })
}

// Holdings are read where there is a ledger, which the kernel says without a tool.
func (f *Filter) Holdings(ctx context.Context, o owner.Owner, r firewall.Role) ([]firewall.Holder, error) {
	if r.Frames() {
		return f.options.Link.Holdings(ctx, o, r)
	}
	if held, err := f.Holds(ctx, o, r); err != nil || !held {
		return nil, err
	}
	holders, err := f.Owners(ctx, r, o.ID.Network)
	return slices.DeleteFunc(holders, func(h firewall.Holder) bool { return h.ID != o.ID }), err
}
