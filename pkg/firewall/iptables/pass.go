package iptables

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// What lets containers pass, in the table filter, by the reference's names and in its order. Its rules have an address and no comment, so whose they are
// stands in our ledger alone.
const (
	forwardChain   = firewall.ForwardChain
	publishedChain = firewall.PublishedChain
	forwardHook    = "FORWARD"

	forwardJump   = `-m comment --comment "CNI firewall plugin rules" -j ` + forwardChain
	adminJump     = `-m comment --comment "CNI firewall plugin admin overrides" -j `
	publishedJump = `-m conntrack --ctstate DNAT -m comment --comment "trestle: published ports" -j ` + publishedChain
)

// passRules are the two rules of an address.
func (f family) passRules(a netip.Addr) []string {
	return []string{"-d " + f.host(a) + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-s " + f.host(a) + " -j ACCEPT"}
}

func (f family) publishedRule(a netip.Addr) string { return "-d " + f.host(a) + " -j ACCEPT" }

// loadFilter reads the ledger, and the table filter in place of nat.
func (t *tool) loadFilter(ctx context.Context) (*state, error) {
	s := &state{tool: t, answers: make(map[owner.ID]bool)}
	var err error
	if s.raw, err = t.read(ctx, "raw"); err == nil {
		s.filter, err = t.read(ctx, "filter")
	}
	if err == nil {
		s.readLedgers()
	}
	return s, err
}

// putPass makes what is missing to a claim to pass, by one run of the tool a family.
func (f *Filter) putPass(ctx context.Context, lock *os.File, o owner.Owner, c firewall.Claim) (created bool, err error) {
	states, err := f.passStates(ctx, o, c)
	if err != nil {
		return false, err
	}
	for i, s := range states {
		if err := s.write(ctx, lock, lines{"raw", s.toRaw}, lines{"filter", s.toFilter}); err != nil {
			return false, fault.Join(err, f.takeBack(ctx, lock, o, c.Role, states[:i+1]))
		}
		created = created || s.lacks()
	}
	f.made = states
	return created, nil
}

// passStates notes, family by family, what is missing. A family in which the container has no address needs no tool.
func (f *Filter) passStates(ctx context.Context, o owner.Owner, c firewall.Claim) (states []*state, err error) {
	n, known := namesOf(o)
	if !known {
		return nil, fault.New(fault.Internal, "", "%s: names that were cut", o)
	}
	for _, family := range families() {
		mine := part(family, c)
		if len(mine.Pass) == 0 {
			continue
		}
		t, err := f.find(ctx, family, "")
		if err != nil {
			return nil, err
		}
		s, err := t.loadFilter(ctx)
		if err != nil {
			return nil, err
		}
		s.joinPass(o, mine)
		s.enter(o, mine, s.ledger(o, n, mine))
		s.passFrame(c.AdminName())
		s.passAddresses(mine)
		s.place(forwardChain, adminJump+c.AdminName(), true, accepting)
		f.spare(s)
		states = append(states, s)
	}
	return states, nil
}

// passFrame notes what is missing to the chains that all containers share. Isolation comes before what accepts: its jump, if there is one, is first.
func (s *state) passFrame(admin string) {
	for _, chain := range [][2]string{{forwardChain, ":" + forwardChain + " - [0:0]"}, {admin, "-N " + admin}} { // -N alone refuses what is a target's name
		if !s.filter.has(chain[0]) {
			s.toFilter = append(s.toFilter, chain[1])
			s.differs(fmt.Sprintf("chain %s: expected, found none", chain[0]))
		}
	}
	s.stageFirst()
	if s.leads(forwardJump) {
		s.lead()
		s.differs(fmt.Sprintf("chain %s: expected a jump to %s before all that drops", forwardHook, forwardChain))
	}
}

// at is the place of a rule in the chain FORWARD, from 0; -1: it is not there.
func (s *state) at(rule string) int { return slices.Index(s.filter.chains[forwardHook], rule) }

// leads says whether a jump is missing in the chain FORWARD, or in vain.
func (s *state) leads(jump string) (missing bool) {
	at := s.at(jump)
	return at < 0 || slices.ContainsFunc(s.filter.chains[forwardHook][:at], barring)
}

// lead puts the jump to the containers' own rules first, or behind that to the isolation.
func (s *state) lead() {
	place := s.at(stageJump) + 2
	if was := s.at(forwardJump); was >= 0 {
		s.toFilter = append(s.toFilter, "-D "+forwardHook+" "+forwardJump)
		at := s.at(stageJump)
		place = 1
		if at >= 0 && !slices.ContainsFunc(s.filter.chains[forwardHook][:at], barring) {
			place = at + 2
			if was < at {
				place--
			}
		}
	}
	s.toFilter = append(s.toFilter, fmt.Sprintf("-I %s %d %s", forwardHook, place, forwardJump))
}

// place notes a rule that is not in a chain of ours, or behind one that ends it: to that, it is in vain. It goes to the chain's start, or to its end, before one that ends it.
func (s *state) place(chain, rule string, first bool, ends func(string) bool) (there bool) {
	rules, how, found := s.filter.chains[chain], "-A "+chain, "none"
	at, end := slices.Index(rules, rule), slices.IndexFunc(rules, ends)
	there = at >= 0
	switch {
	case there && (end < 0 || at <= end):
		return true
	case there:
		s.toFilter = append(s.toFilter, "-D "+chain+" "+rule)
		found = "it behind " + rules[end]
	}
	if first {
		end = 0
	}
	if end >= 0 {
		how = fmt.Sprintf("-I %s %d", chain, end+1)
	}
	s.toFilter = append(s.toFilter, how+" "+rule)
	s.differs(fmt.Sprintf("chain %s: expected the rule %s, found %s", chain, rule, found))
	return there
}

// ending says whether a rule lets no packet go on to the next, accepting whether it may accept one, barring whether it drops all.
func ending(rule string) bool {
	target := forAll(rule)
	return target == "ACCEPT" || target == "RETURN" || barring(rule)
}

func accepting(rule string) bool { return ending(rule) || value(rule, "-j") == "ACCEPT" }

func barring(rule string) bool {
	target := forAll(rule)
	return target == "DROP" || target == "REJECT"
}

// forAll is where a rule without conditions leads.
func forAll(rule string) string {
	if strings.HasPrefix(rule, "-m comment ") {
		rule = strings.TrimPrefix(rule, comment(value(rule, "--comment"))+" ")
	}
	if !strings.HasPrefix(rule, "-j ") {
		return ""
	}
	return value(rule, "-j")
}

// passAddresses notes what is missing to the container's own rules; where the chain FORWARD drops what it does not know, new connections to published
// ports, too.
func (s *state) passAddresses(c firewall.Claim) {
	s.passOwn(c)
	if !s.drops() {
		return
	}
	if !s.filter.has(publishedChain) {
		s.toFilter = append(s.toFilter, ":"+publishedChain+" - [0:0]")
	}
	if s.leads(publishedJump) {
		s.behind()
		s.differs(fmt.Sprintf("chain %s: expected a jump to %s before all that drops", forwardHook, publishedChain))
	}
	for _, a := range c.Pass {
		s.place(publishedChain, s.publishedRule(a), false, ending)
	}
}

// passOwn notes which of the container's own rules are missing, and says whether any is there.
func (s *state) passOwn(c firewall.Claim) (some bool) {
	for _, a := range c.Pass {
		for _, rule := range s.passRules(a) {
			some = s.place(forwardChain, rule, false, ending) || some
		}
	}
	return some
}

// behind puts the jump for published ports behind that to the containers' own rules, where it is to be after all that was noted before.
func (s *state) behind() {
	if s.at(publishedJump) >= 0 {
		s.toFilter = append(s.toFilter, "-D "+forwardHook+" "+publishedJump)
	}
	place := 2
	if s.at(stageJump) >= 0 {
		place = 3
	}
	if at := s.at(forwardJump); at >= 0 && !s.leads(forwardJump) {
		place = at + 2
		if was := s.at(publishedJump); was >= 0 && was < at {
			place--
		}
	}
	s.toFilter = append(s.toFilter, fmt.Sprintf("-I %s %d %s", forwardHook, place, publishedJump))
}

// drops says whether the chain FORWARD may drop what it does not know: by its policy, or a rule of somebody else's. What accepts drops nothing, as that by which
// what our other backend lets pass is let pass here.
func (s *state) drops() bool {
	ours := []string{forwardJump, stageJump, publishedJump}
	return s.filter.policies[forwardHook] == "DROP" ||
		slices.ContainsFunc(s.filter.chains[forwardHook], func(rule string) bool {
			return !slices.Contains(ours, rule) && value(rule, "-j") != "ACCEPT"
		})
}
