package nft

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// No accept of ours overrides a drop of somebody else's. Where that is in a chain FORWARD of iptables, one rule at its start accepts what has our mark:
// the anchor. It is constant, and there as long as anybody claims to pass. It never looks at a set, which iptables would show, and restore, as a
// rule without a condition.

// foreignChain is the chain FORWARD of one family, as iptables-nft has it.
type foreignChain struct {
	*nftables.Chain
	rules []*nftables.Rule
}

// forwards returns the chains FORWARD that there are.
func (f *Filter) forwards() (list []foreignChain, err error) {
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		table := &nftables.Table{Name: "filter", Family: family}
		chain, err := f.conn.ListChain(table, "FORWARD")
		if err != nil && misses(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if chain.Table = table; chain.Hooknum == nil {
			continue // some other one of the name
		}
		rules, err := f.conn.GetRules(table, chain)
		if err != nil && !misses(err) {
			return nil, err
		}
		list = append(list, foreignChain{chain, rules})
	}
	return list, nil
}

// drops says whether the chain may drop what it does not know: it has rules of others, or a policy other than to accept.
func (c foreignChain) drops() bool {
	return c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop || slices.ContainsFunc(c.rules, func(r *nftables.Rule) bool { return !isAnchor(r) })
}

// anchored says whether our rule is there, with nothing before it that drops all.
func (c foreignChain) anchored() bool {
	at := slices.IndexFunc(c.rules, isAnchor)
	return at >= 0 && !slices.ContainsFunc(c.rules[:at], bars)
}

// isAnchor knows our rule by its comment.
func isAnchor(r *nftables.Rule) bool {
	text, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return ours(text) || slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
		m, is := e.(*expr.Match)
		if !is || m.Name != "comment" {
			return false
		}
		comment, is := m.Info.(*xt.Comment)
		return is && ours(string(*comment))
	})
}

// ours says whether a comment is that of the anchor, or of the jump that goes with it.
func ours(comment string) bool { return comment == firewall.Anchor || comment == firewall.AnchorAdmin }

// bars says whether a rule drops or rejects every packet.
func bars(r *nftables.Rule) bool {
	final := false
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Match:
			if e.Name != "comment" {
				return false
			}
		case *expr.Verdict:
			final = e.Kind == expr.VerdictDrop
		case *expr.Reject:
			final = true
		case *expr.Target:
			final = e.Name == "REJECT"
		default:
			return false
		}
	}
	return final
}

// anchor is the rule as iptables-nft writes it.
func (c foreignChain) anchor() change {
	text := xt.Comment(firewall.Anchor)
	exprs := slices.Concat(marked(), []expr.Any{&expr.Match{Name: "comment", Info: &text}, &expr.Counter{}}, verdict(expr.VerdictAccept))
	return func(conn *nftables.Conn) error {
		conn.InsertRule(&nftables.Rule{Table: c.Table, Chain: c.Chain, Exprs: exprs})
		return nil
	}
}

// Anchor lets what has our mark pass the chains FORWARD of iptables-nft that may drop it. Where all was seen to be so, and nobody has committed
// anything since, that takes one request.
func (f *Filter) Anchor(ctx context.Context) (created bool, err error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return false, explain(err)
	}
	before, err := f.generation()
	if err != nil || f.knownBy(f.memory.others, before) {
		return false, explain(err)
	}
	err = f.amend(ctx, forward(), raze, func() ([]change, error) {
		changes, err := f.anchors()
		created = len(changes) > 0
		return changes, err
	})
	if now, failed := f.generation(); err == nil && failed == nil && now == before {
		f.noteBy(f.memory.others, now)
	}
	return created && err == nil, err
}

// anchors is what is missing.
func (f *Filter) anchors() (changes []change, err error) {
	chains, err := f.forwards()
	for _, c := range chains {
		if !c.drops() || c.anchored() {
			continue
		}
		changes = append(changes, c.weigh()...)
		changes = append(changes, c.anchor())
		admin, err := f.adminJump(c)
		if err != nil {
			return nil, err
		}
		changes = append(changes, admin...)
	}
	return changes, err
}

// adminJump has the operator's chain of iptables, if there is one, asked before the anchor.
func (f *Filter) adminJump(c foreignChain) ([]change, error) {
	if _, err := f.conn.ListChain(c.Table, firewall.AdminChain); err != nil {
		if misses(err) {
			err = nil
		}
		return nil, err
	}
	text := xt.Comment(firewall.AnchorAdmin)
	return []change{func(conn *nftables.Conn) error {
		conn.InsertRule(&nftables.Rule{Table: c.Table, Chain: c.Chain, Exprs: append([]expr.Any{&expr.Match{Name: "comment", Info: &text}, &expr.Counter{}}, jump(firewall.AdminChain)...)})
		return nil
	}}, nil
}

// weigh removes the anchors that are there.
func (c foreignChain) weigh() (changes []change) {
	for _, r := range c.rules {
		if isAnchor(r) {
			changes = append(changes, removeRule(&nftables.Rule{Table: c.Table, Chain: c.Chain, Handle: r.Handle}))
		}
	}
	return changes
}

// Anchored compares what Anchor would make with what is there.
func (f *Filter) Anchored(ctx context.Context) (drift []string, err error) {
	defer f.lock()()
	err = f.steady(ctx, func() (sure bool, err error) {
		chains, err := f.forwards()
		drift = nil
		for _, c := range chains {
			if c.drops() && !c.anchored() {
				drift = append(drift, fmt.Sprintf("%s: expected the rule %q before all that drops, found none", c, firewall.Anchor))
			}
		}
		return len(drift) == 0, err
	})
	return drift, err
}

func (c foreignChain) String() string {
	return map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "iptables", nftables.TableFamilyIPv6: "ip6tables"}[c.Table.Family] + ": chain FORWARD"
}

// Weigh removes the anchors, unless anybody claims to pass.
func (f *Filter) Weigh(ctx context.Context) error {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return explain(err)
	}
	there, err := f.conn.Tables() // where none of iptables is, there is no anchor
	if err != nil || !slices.ContainsFunc(there, func(t *nftables.Table) bool { return t.Name == "filter" }) {
		return explain(err)
	}
	return f.amend(ctx, forward(), raze, func() (changes []change, err error) {
		chains, err := f.forwards()
		for _, c := range chains {
			changes = append(changes, c.weigh()...)
		}
		if err != nil || len(changes) == 0 {
			return nil, err
		}
		held, err := f.dump(forward().set(attachments))
		if err != nil || len(held) > 0 {
			return nil, err
		}
		return changes, nil
	})
}
