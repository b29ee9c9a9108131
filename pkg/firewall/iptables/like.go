package iptables

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Like says which of the rules are missing that the reference makes for such a claim, be they the owner's or those that lead to them. made is false
// where nothing is there that it made for the owner. Who has a ledger is ours, and asks Held.
func (f *Filter) Like(ctx context.Context, o owner.Owner, c firewall.Claim) (missing []string, made bool, err error) {
	if c.Role == firewall.Forward {
		return f.likePass(ctx, c)
	}
	n, named := namesOf(o)
	if !named {
		return nil, false, nil
	}
	tools, err := f.holding(ctx, o, c.Role)
	if err != nil || len(tools) == 0 {
		return nil, false, err
	}
	for _, family := range families() {
		mine := part(family, c)
		if len(addrs(mine)) == 0 {
			continue
		}
		s := &state{tool: &tool{family: family}, nat: new(ruleset)}
		if at := slices.IndexFunc(tools, func(t *tool) bool { return t.is4 == family.is4 }); at >= 0 {
			if s, err = tools[at].load(ctx); err != nil {
				return nil, true, err
			}
		}
		s.masks = masks(c)
		s.like(n, mine, f.options)
		missing = append(missing, s.differences...)
	}
	return missing, true, nil
}

// likePass is Like for what lets pass. There whose a rule is follows from its address alone, and ports are let in by nothing.
func (f *Filter) likePass(ctx context.Context, c firewall.Claim) (missing []string, made bool, err error) {
	for _, family := range families() {
		mine := part(family, c)
		if len(mine.Pass) == 0 {
			continue
		}
		s, err := f.passing(ctx, family)
		if err != nil {
			return nil, made, err
		}
		made = s.passOwn(mine) || made
		s.passFrame(c.AdminName())
		missing = append(missing, s.differences...)
	}
	return missing, made, nil
}

// passing reads the table filter, in the flavour in which there is what lets containers pass; in none it is empty.
func (f *Filter) passing(ctx context.Context, family family) (*state, error) {
	k, err := f.look()
	if err != nil {
		return nil, err
	}
	defer k.close()
	for _, p := range places() {
		if p.is4 != family.is4 {
			continue
		}
		there, err := k.has(ctx, p, "filter", forwardChain)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		t, err := f.find(ctx, p.family, p.flavour)
		if err != nil {
			return nil, err
		}
		s := &state{tool: t}
		s.filter, err = t.read(ctx, "filter")
		return s, err
	}
	return &state{tool: &tool{family: family}, filter: new(ruleset)}, nil
}

// like notes what is missing.
func (s *state) like(n names, c firewall.Claim, o Options) {
	if c.Role == firewall.Publish {
		s.likePublish(n, c, o)
		return
	}
	for i := range c.Masq {
		c.Masq[i].Except = nil // the reference knows none
		entry := fmt.Sprintf("-s %s %s -j %s", s.host(c.Masq[i].Addr), n.masqComment(), n.masqChain())
		s.misses(postrouting, entry)
	}
	for _, rule := range s.masqRules(n, c) {
		s.misses(n.masqChain(), rule)
	}
}

func (s *state) likePublish(n names, c firewall.Claim, o Options) {
	s.frame(o)
	mark := o.MarkChain
	if mark == "" {
		mark = setMark
	}
	have := s.nat.jumps(hostports, n.dnatChain())
	for _, p := range c.Ports {
		m := s.mapping(p, mark)
		for _, rule := range m.rules {
			if value(rule, "-s") != "::1/128" { // that one is ours alone
				s.misses(n.dnatChain(), rule)
			}
		}
		if !leads(have, askedFor([]mapping{m}), n) {
			s.differs(fmt.Sprintf("chain %s: expected an entry for %s to chain %s, found none", hostports, title(p), n.dnatChain()))
		}
	}
	if len(c.Bare) > 0 && !leads(have, o.Asked, n) {
		s.differs(fmt.Sprintf("chain %s: expected entries for all ports of chain %s", hostports, n.dnatChain()))
	}
}

// misses notes a rule that is not there.
func (s *state) misses(chain, rule string) {
	if !s.nat.contains(chain, rule) {
		s.differs(fmt.Sprintf("chain %s: expected the rule %s, found none", chain, rule))
	}
}

// LikeIsolated says whether the reference keeps the link from others, in each family in which it does so for any: it looks at what addresses there are.
// Comments do not count, since version 1.1 has others than 1.10.
func (f *Filter) LikeIsolated(ctx context.Context, link string, in firewall.Ingress) (made bool, err error) {
	tools, err := f.everywhere(ctx, "filter")
	if err != nil {
		return false, err
	}
	for _, t := range tools {
		s := &state{tool: t}
		if s.filter, err = t.read(ctx, "filter"); err != nil {
			return false, err
		}
		if !s.filter.has(stageOne) {
			continue
		}
		if made = s.likeSegment(link, in); !made {
			return false, nil
		}
	}
	return made, nil
}

func (s *state) likeSegment(link string, in firewall.Ingress) bool {
	has := func(chain, rule string) bool {
		rules := s.filter.chains[chain]
		if end := slices.IndexFunc(rules, ending); end >= 0 {
			rules = rules[:end]
		}
		return slices.ContainsFunc(rules, func(r string) bool {
			return strings.Replace(r, comment(value(r, "--comment"))+" ", "", 1) == rule
		})
	}
	leads := slices.IndexFunc(s.filter.chains[forwardHook], func(r string) bool { return value(r, "-j") == stageOne })
	accepts := s.at(forwardJump)
	return leads >= 0 && (accepts < 0 || leads < accepts) && has(stageTwo, "-o "+link+" -j DROP") &&
		has(stageOne, fmt.Sprintf("-i %[1]s ! -o %[1]s -j %[2]s", link, stageTwo)) &&
		(in != firewall.Isolated || has(stageOne, fmt.Sprintf("-i %[1]s -o %[1]s -j DROP", link)))
}
