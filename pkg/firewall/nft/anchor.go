package nft

import (
	"context"
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
	rules  []*nftables.Rule
	admins []string // the operator's chains that are asked before what has our mark passes
	absent bool     // nobody has made it so far: iptables does so when it gets a rule
}

// forwards returns the chains FORWARD that there are, or that iptables would make.
func (f *Filter) forwards() (list []foreignChain, err error) {
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		table := &nftables.Table{Name: "filter", Family: family}
		chain, err := f.conn.ListChain(table, "FORWARD")
		if err != nil && misses(err) {
			accept := nftables.ChainPolicyAccept
			list = append(list, foreignChain{absent: true, Chain: &nftables.Chain{Name: "FORWARD", Table: table, Type: nftables.ChainTypeFilter,
				Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &accept}})
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
		list = append(list, foreignChain{Chain: chain, rules: rules})
	}
	return list, nil
}

// drops says whether the chain may drop what it does not know: it has rules of others that may, or a policy other than to accept.
func (c foreignChain) drops() bool {
	return c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop ||
		slices.ContainsFunc(c.rules, func(r *nftables.Rule) bool { return !isAnchor(r) && !accepts(r) })
}

// accepts says that a rule drops nothing: it accepts, or asks the chains of the plugin firewall's other backend.
func accepts(r *nftables.Rule) bool {
	if len(r.Exprs) == 0 {
		return false
	}
	v, is := r.Exprs[len(r.Exprs)-1].(*expr.Verdict)
	return is && (v.Kind == expr.VerdictAccept ||
		v.Kind == expr.VerdictJump && slices.Contains([]string{firewall.ForwardChain, firewall.IsolationChain, firewall.PublishedChain}, v.Chain))
}

// whole says whether our rule is there, with nothing before it that drops all, and behind the jumps to each of the operator's chains.
func (c foreignChain) whole(admins []string) bool {
	at := slices.IndexFunc(c.rules, func(r *nftables.Rule) bool { return told(r, firewall.Anchor) })
	if at < 0 || slices.ContainsFunc(c.rules[:at], closes) {
		return false
	}
	asked := asks(c.rules[:at])
	return !slices.ContainsFunc(admins, func(name string) bool { return !slices.Contains(asked, name) })
}

// asks are the operator's chains that rules of ours lead to.
func asks(rules []*nftables.Rule) (names []string) {
	for _, r := range rules {
		if told(r, firewall.AnchorAdmin) {
			names = append(names, leadsTo(r)...)
		}
	}
	return names
}

// leadsTo are the chains that a rule jumps to: one, or none.
func leadsTo(r *nftables.Rule) (names []string) {
	for _, e := range r.Exprs {
		if v, is := e.(*expr.Verdict); is && v.Kind == expr.VerdictJump {
			names = append(names, v.Chain)
		}
	}
	return names
}

// isAnchor knows our rule, or one of the jumps that go with it.
func isAnchor(r *nftables.Rule) bool {
	return told(r, firewall.Anchor) || told(r, firewall.AnchorAdmin)
}

// told says whether that is the rule's comment, in nft's words or in those of iptables.
func told(r *nftables.Rule, comment string) bool {
	text, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return text == comment || slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
		m, is := e.(*expr.Match)
		if !is || m.Name != "comment" {
			return false
		}
		comments, is := m.Info.(*xt.Comment)
		return is && string(*comments) == comment
	})
}

// closes says whether a rule drops or rejects every packet.
func closes(r *nftables.Rule) bool {
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

// insert puts a rule of ours at the chain's start, as iptables-nft writes it: conditions, comment, counter, what it does.
func (c foreignChain) insert(conditions []expr.Any, comment string, does []expr.Any) change {
	text := xt.Comment(comment)
	exprs := slices.Concat(conditions, []expr.Any{&expr.Match{Name: "comment", Info: &text}, &expr.Counter{}}, does)
	return func(conn *nftables.Conn) error {
		conn.InsertRule(&nftables.Rule{Table: c.Table, Chain: c.Chain, Exprs: exprs})
		return nil
	}
}

// Anchor lets what has our mark pass the chains FORWARD of iptables-nft that may drop it, once the operator's chain of that name, if there is one, was
// asked. Where all was seen to be so, and nobody has committed anything since, that takes one request; of a chain of another name
// nothing is noted, nor where a chain drops what it is not ours to open.
func (f *Filter) Anchor(ctx context.Context, admin string) (created bool, err error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return false, explain(err)
	}
	before, err := f.generation()
	usual := admin == firewall.AdminChain
	if err != nil {
		return false, explain(err)
	}
	if f.anchored = true; usual && f.knownBy(f.memory.others, before) {
		return false, nil
	}
	err = f.amend(ctx, forward(), raze, func() ([]change, error) {
		chains, err := f.unanchored(admin)
		if err == nil && len(chains) > 0 { // what is made anew asks whom other configurations name, too
			var names []string
			if names, err = f.named(); err == nil {
				chains, err = f.unanchored(append(names, admin)...)
			}
		}
		created = len(chains) > 0
		return anchors(chains), err
	})
	if err == nil {
		f.barred, err = f.bars()
	}
	if now, failed := f.generation(); usual && len(f.barred) == 0 && err == nil && failed == nil && now == before {
		f.noteBy(f.memory.others, now)
	}
	return created && err == nil, err
}

// anchors is what is missing in the chains.
func anchors(chains []foreignChain) (changes []change) {
	for _, c := range chains {
		if c.absent {
			changes = append(changes, func(conn *nftables.Conn) error { conn.AddChain(c.Chain); return nil })
		}
		changes = append(changes, c.weigh()...)
		changes = append(changes, c.insert(marked(), firewall.Anchor, verdict(expr.VerdictAccept)))
		for _, name := range c.admins {
			changes = append(changes, c.insert(nil, firewall.AnchorAdmin, jump(name)))
		}
	}
	return changes
}

// unanchored returns the chains in which something is missing: those that may drop what has our mark, and those beside which the operator has a chain that is to be asked
// first; each with those that are asked, and those of the names.
func (f *Filter) unanchored(names ...string) (list []foreignChain, err error) {
	chains, err := f.forwards()
	for _, c := range chains {
		c.admins = asks(c.rules)
		for _, name := range names {
			if slices.Contains(c.admins, name) || f.leavesAnchor(c, firewall.AnchorAdmin) {
				continue
			}
			rules, err := f.conn.GetRules(c.Table, &nftables.Chain{Name: name, Table: c.Table})
			if err != nil && !misses(err) {
				return nil, err
			}
			if len(rules) > 0 { // an empty one has nothing to say, and may be another plugin's
				c.admins = append(c.admins, name)
			}
		}
		if (c.drops() || len(c.admins) > 0) && !f.leavesAnchor(c, firewall.Anchor) && !c.whole(c.admins) {
			list = append(list, c)
		}
	}
	return list, err
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
func (f *Filter) Anchored(ctx context.Context, admin string) (drift []string, err error) {
	defer f.lock()()
	err = f.steady(ctx, func() (sure bool, err error) {
		chains, err := f.unanchored(admin)
		drift = nil
		for _, c := range chains {
			drift = append(drift, firewall.Unanchored(c.String(), c.admins))
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
