package nft

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/trestle-cni/trestle/pkg/checksum"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// What names all that went: the rule, element, chain, set or table that has all of it; empty where that is more than one table.
func (t *Told) What() string {
	if len(t.Removed) == 0 {
		return ""
	}
	all := t.Removed[0]
	for _, r := range t.Removed[1:] {
		switch {
		case r.Table != all.Table:
			return ""
		case r.Chain != all.Chain || r.Set != all.Set || r.Whole && r.Chain+r.Set == "":
			all.Chain, all.Set = "", ""
		}
		all.Key, all.Whole = "", true
	}
	at := firewall.Titled(all.Table)
	switch {
	case all.Key != "":
		return at.Element(all.Set, all.Key)
	case all.Set != "":
		return at.Set(all.Set)
	case all.Chain != "" && !all.Whole:
		return t.whatRule(all)
	case all.Chain != "":
		return at.Chain(all.Chain)
	}
	return at.Whole()
}

func (t *table) named() firewall.Titled { return firewall.Titled(t.String()) }

// whatRule names the rule that went alone. Its number is another each time that it is made again, so it is known by what it does.
func (t *Told) whatRule(r Removed) string {
	words := ""
	if rule, err := t.loneRule(); err == nil {
		words = t.rule.table.words(rule)
	}
	return firewall.Titled(r.Table).Rule(words, r.Chain)
}

// loneRule reads the rule that went first.
func (t *Told) loneRule() (*nftables.Rule, error) {
	if t.rule.raw == nil {
		return nil, errors.New("the kernel told of no rule")
	}
	return t.rule.rule()
}

// words are a rule as the table has it, or its comment where that is the anchor's; else a number that only such a rule has.
func (t *table) words(r *nftables.Rule) string {
	for _, c := range t.constants() {
		for _, own := range c.rules {
			if same, err := sameRule(byte(t.Family), own.exprs, r.Exprs); c.Name == r.Chain.Name && err == nil && same {
				return firewall.Quoted(own.text)
			}
		}
	}
	for _, comment := range []string{firewall.Anchor, firewall.AnchorAdmin} {
		if told(r, comment) {
			return firewall.Quoted(comment)
		}
	}
	record := slices.Clone(r.UserData)
	for _, e := range r.Exprs {
		bytes, err := expr.Marshal(byte(t.Family), e)
		if err != nil {
			return ""
		}
		record = append(record, bytes...)
	}
	return fmt.Sprintf("%08x ", checksum.Of(record))
}

// constants are the chains of a table of ours, as they are without anybody's leave; none of others'.
func (t *table) constants() []*chain {
	if t.lay == nil {
		return nil
	}
	return t.laid()
}

// Compat says whether something of iptables-nft's went that package iptables may have made: a chain of its own, a rule in one of the kernel's, or a table.
func (t *Told) Compat() bool {
	return slices.ContainsFunc(t.Removed, func(r Removed) bool {
		family, name, _ := strings.Cut(r.Table, " ")
		builtin := slices.Contains([]string{"", "PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}, r.Chain)
		return (family == "ip" || family == "ip6") && slices.Contains([]string{"filter", "nat", "mangle", "raw"}, name) && (builtin || firewall.IsChain(r.Chain))
	})
}

// Chains are those of package iptables that went, with their tables.
func (t *Told) Chains() (names []string) {
	for _, r := range t.Removed {
		if r.Whole && firewall.IsChain(r.Chain) {
			names = append(names, r.Table+" "+r.Chain)
		}
	}
	return names
}

// Ours says whether all that went is ours, so that who takes it again and again means us.
func (t *Told) Ours() bool {
	for _, r := range t.Removed {
		known := slices.ContainsFunc(everyTable(), func(own *table) bool { return own.String() == r.Table })
		if !known && !firewall.IsChain(r.Chain) && !(len(t.Removed) == 1 && t.leadsToUs()) {
			return false
		}
	}
	return true
}

// leadsToUs says whether the rule that went is the anchor, or led to a chain of ours.
func (t *Told) leadsToUs() bool {
	r, err := t.loneRule()
	return err == nil && (isAnchor(r) || slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
		v, is := e.(*expr.Verdict)
		return is && firewall.IsChain(v.Chain)
	}))
}
