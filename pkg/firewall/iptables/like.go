package iptables

import (
	"context"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Like says which of the rules are missing that the reference makes for such a claim, be they the owner's or those that lead to them. made is false
// where nothing is there that it made for the owner. Who has a ledger is ours, and asks Held.
func (f *Filter) Like(ctx context.Context, o owner.Owner, c firewall.Claim) (missing []string, made bool, err error) {
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
}

// misses notes a rule that is not there.
func (s *state) misses(chain, rule string) {
	if !s.nat.contains(chain, rule) {
		s.differs(fmt.Sprintf("chain %s: expected the rule %s, found none", chain, rule))
	}
}
