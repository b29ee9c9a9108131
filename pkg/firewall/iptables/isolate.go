package iptables

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Segments are kept from each other by the reference's two chains: the first is for what comes from one, the second drops what goes to one.
const (
	stageOne = firewall.IsolationChain
	stageTwo = "CNI-ISOLATION-STAGE-2"

	stageAny  = `-m comment --comment "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)" -j `
	stageJump = stageAny + stageOne
)

var _ firewall.Isolator = (*Filter)(nil)

// Isolate makes the link a segment, in both families that there is a tool for.
func (f *Filter) Isolate(ctx context.Context, link string, in firewall.Ingress) (created bool, err error) {
	lock, err := f.lock(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	states, err := f.segments(ctx, link, in)
	for _, s := range states {
		if err == nil {
			err = s.write(ctx, lock, lines{"filter", s.toFilter})
		}
		created = created || s.lacks()
	}
	return created && err == nil, err
}

// Isolated compares what Isolate would make with what is there.
func (f *Filter) Isolated(ctx context.Context, link string, in firewall.Ingress) error {
	states, err := f.segments(ctx, link, in)
	var list []string
	for _, s := range states {
		list = append(list, s.lacking()...)
	}
	if err == nil {
		err = drifted(list)
	}
	return err
}

// segments notes what is missing.
func (f *Filter) segments(ctx context.Context, link string, in firewall.Ingress) (states []*state, err error) {
	for _, family := range families() {
		t, err := f.find(ctx, family, "")
		if err != nil && !family.is4 {
			continue // a host without the tool for IPv6
		}
		if err != nil {
			return nil, err
		}
		s := &state{tool: t}
		if s.filter, err = t.read(ctx, "filter"); err != nil {
			return nil, err
		}
		s.segment(link, in)
		f.spare(s)
		states = append(states, s)
	}
	return states, nil
}

// segment notes what is missing to one, each rule at the place where the reference puts it.
func (s *state) segment(link string, in firewall.Ingress) {
	for _, chain := range []string{stageOne, stageTwo} {
		if !s.filter.has(chain) {
			s.toFilter = append(s.toFilter, ":"+chain+" - [0:0]")
		}
	}
	never := func(string) bool { return false } // behind a rule that ends the chain, the last one is not in vain
	policy := fmt.Sprintf(`-m comment --comment "CNI firewall plugin rules (ingressPolicy: %s)" -j `, in)
	s.place(stageOne, fmt.Sprintf("-i %[1]s ! -o %[1]s ", link)+policy+stageTwo, true, ending)
	if in == firewall.Isolated {
		s.place(stageOne, fmt.Sprintf("-i %[1]s -o %[1]s ", link)+policy+"DROP", true, ending)
	}
	s.place(stageOne, stageAny+"RETURN", false, never)
	s.place(stageTwo, "-o "+link+" "+stageAny+"DROP", true, ending)
	s.place(stageTwo, stageAny+"RETURN", false, never)
	if s.at(stageJump) < 0 {
		s.toFilter = append(s.toFilter, fmt.Sprintf("-I %s 1 %s", forwardHook, stageJump))
		s.differs(fmt.Sprintf("chain %s: expected a jump to %s, found none", forwardHook, stageOne))
	}
	s.stageFirst()
}

// stageFirst moves the jump to the isolation before that to what accepts. The order of who came first is not to decide: who accepts first isolates
// nobody.
func (s *state) stageFirst() {
	at, accepts := s.at(stageJump), s.at(forwardJump)
	if at < 0 || accepts < 0 || at < accepts {
		return
	}
	s.toFilter = append(s.toFilter, "-D "+forwardHook+" "+stageJump, fmt.Sprintf("-I %s 1 %s", forwardHook, stageJump))
	s.differs(fmt.Sprintf("chain %s: expected the jump to %s before that to %s", forwardHook, stageOne, forwardChain))
}

// Segments lists the links of the rules in both families and flavours.
func (f *Filter) Segments(ctx context.Context) (links []string, err error) {
	err = f.staged(ctx, func(t *tool) error {
		rules, err := t.read(ctx, "filter")
		if err != nil {
			return err
		}
		for _, chain := range []string{stageOne, stageTwo} {
			for _, rule := range rules.chains[chain] {
				if link := segmentOf(rule); link != "" && strings.Contains(rule, segmentMark) && !slices.Contains(links, link) {
					links = append(links, link)
				}
			}
		}
		return nil
	})
	return links, err
}

// segmentMark is in the comment of each rule of a segment.
const segmentMark = "CNI firewall plugin rules"

// segmentOf is the link that a rule is about.
func segmentOf(rule string) string { return cmp.Or(value(rule, "-i"), value(rule, "-o")) }

// Rejoin removes the rules of links that are not in use, and the two chains with the last of them.
func (f *Filter) Rejoin(ctx context.Context, used func(string) bool) error {
	return f.staged(ctx, func(t *tool) error { return f.rejoinIn(ctx, t, used) })
}

// staged calls do for each family and flavour in which there is one of the two chains.
func (f *Filter) staged(ctx context.Context, do func(*tool) error) error {
	k, err := f.look()
	if err != nil {
		return err
	}
	defer k.close()
	var errs []error
	for _, p := range places() {
		there, err := k.has(ctx, p, "filter", stageOne, stageTwo)
		if err == nil && there {
			if t, failed := f.find(ctx, p.family, p.flavour); failed == nil { // without a tool nothing here could have made anything
				err = do(t)
			}
		}
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}

func (f *Filter) rejoinIn(ctx context.Context, t *tool, used func(string) bool) error {
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	s := &state{tool: t}
	if s.filter, err = t.read(ctx, "filter"); err != nil {
		return err
	}
	left := 0
	for _, chain := range []string{stageOne, stageTwo} {
		for _, rule := range s.filter.chains[chain] {
			link := segmentOf(rule)
			switch {
			case !strings.Contains(rule, segmentMark):
				left++ // somebody else's
			case link == "":
			case used(link):
				left++
			default:
				s.toFilter = append(s.toFilter, "-D "+chain+" "+rule)
			}
		}
	}
	if left == 0 && slices.Contains(s.filter.chains[forwardHook], stageJump) {
		s.toFilter = append(s.toFilter, "-D "+forwardHook+" "+stageJump)
	}
	if left == 0 {
		for _, chain := range []string{stageOne, stageTwo} { // one leads to the other
			if s.filter.has(chain) {
				s.toFilter = append(s.toFilter, "-F "+chain)
			}
		}
		dissolve(s.filter, &s.toFilter, stageTwo)
		dissolve(s.filter, &s.toFilter, stageOne)
	}
	return s.write(ctx, lock, lines{"filter", s.toFilter})
}
