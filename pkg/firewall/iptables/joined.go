package iptables

import (
	"context"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// What several entries of one list hold together, as one owner: his ledger, his chain and what leads to it have what each of them wants.

// besides are the rules of a ledger beside those that another entry of the owner's list has put there. Of an address, and of the life, there is one.
func (s *state) besides(chain string, rules []string) (all []string) {
	subject := func(rule string) string {
		if text := value(rule, "--comment"); strings.HasPrefix(text, firewall.LifeSign) {
			return firewall.LifeSign
		}
		return value(rule, "-s") + value(rule, "-d")
	}
	for _, rule := range s.raw.chains[chain] {
		same := func(r string) bool { return subject(r) != "" && subject(r) == subject(rule) }
		if slices.Contains(rules, rule) || !slices.ContainsFunc(rules, same) {
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

// joined is the mapping with what another entry of the owner's list has of it, which marks more packets or others. Where that leads elsewhere it is refused.
func (s *state) joined(o owner.Owner, m mapping, there []published, title string) mapping {
	for _, p := range there {
		if !p.known || p.ID != o.ID {
			continue
		}
		if p.target != m.target {
			s.refused = fault.New(fault.Config, "delete the container, and let one entry of the list publish the port",
				"%s: leads to %s by an earlier ADD of the same attachment, and not to %s", title, p.target, m.target)
			continue
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
	return m
}

// others are the mappings of the chain that are somebody's and not in the list.
func others(all []published, chain string, o owner.Owner, list []mapping) (rest []mapping) {
	for _, p := range all {
		mine := func(m mapping) bool { return p.ID == o.ID && m.packets == p.packets }
		if p.chain == chain && p.known && !slices.ContainsFunc(list, mine) {
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
