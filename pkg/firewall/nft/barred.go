package nft

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// An operator's own chain that drops what none of its rules let pass is not ours to edit. It is named, with the line that opens it, where it is sure that it
// drops what we let pass: no rule before can accept a new connection. Of any other the tool's doctor judges with packets.

// The mark is on from our chain to the one that takes it off.
const markFrom, markTo = -10, 20

// Barred tells of the chains that drop what has our mark, each with what opens it. Who has anchored in the same call knows already.
func (f *Filter) Barred(context.Context) (told []string, err error) {
	defer f.lock()()
	if f.anchored {
		return f.barred, nil
	}
	if err := f.connect(); err != nil {
		return nil, explain(err)
	}
	told, err = f.bars()
	return told, explain(err)
}

func (f *Filter) bars() (told []string, err error) {
	chains, err := f.conn.ListChains()
	for _, c := range chains {
		if !own(c) {
			continue
		}
		rules, err := f.conn.GetRules(c.Table, c)
		if err != nil && !misses(err) {
			return nil, err
		}
		if by := shuts(c, rules); err == nil && by != "" {
			told = append(told, opened(c, by))
		}
	}
	return told, err
}

// own says whether the chain is an operator's own, and sees what is forwarded. That of iptables has the anchor.
func own(c *nftables.Chain) bool {
	routed := c.Table.Family == nftables.TableFamilyINet || c.Table.Family == nftables.TableFamilyIPv4 || c.Table.Family == nftables.TableFamilyIPv6
	compat := c.Table.Name == "filter" && c.Name == "FORWARD" && c.Table.Family != nftables.TableFamilyINet
	return routed && !compat && !firewall.OwnTable(c.Table.Name) && c.Priority != nil && c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward
}

// shuts says by what the chain drops every new connection of a container; empty: by nothing that is sure to.
func shuts(c *nftables.Chain, rules []*nftables.Rule) string {
	for _, r := range rules {
		switch {
		case lets(r):
			return ""
		case closes(r):
			return "a rule"
		}
	}
	if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
		return "its policy"
	}
	return ""
}

// lets says whether the rule may accept a new connection of a container: it accepts, or leads on, and not answers or translated packets alone.
func lets(r *nftables.Rule) bool {
	ends, answers := false, false
	for i, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Verdict:
			ends = ends || e.Kind == expr.VerdictAccept || e.Kind == expr.VerdictJump || e.Kind == expr.VerdictGoto
		case *expr.Target, *expr.Lookup, *expr.Queue: // a map may hold verdicts
			ends = true
		case *expr.Ct:
			answers = answers || e.Key == expr.CtKeySTATUS || e.Key == expr.CtKeySTATE && i+1 < len(r.Exprs) && ofSeen(r.Exprs[i+1])
		}
	}
	return ends && !answers
}

// ofSeen says whether the mask of states has those of connections that were seen, and not NEW.
func ofSeen(e expr.Any) bool {
	const isNew = 1 << 3 // NF_CT_STATE_BIT(IP_CT_NEW)
	mask, is := e.(*expr.Bitwise)
	return is && len(mask.Mask) == 4 && binary.NativeEndian.Uint32(mask.Mask)&isNew == 0
}

// opened names the chain, with the line that opens it.
func opened(c *nftables.Chain, by string) string {
	family := map[nftables.TableFamily]string{nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6"}[c.Table.Family]
	what := fmt.Sprintf("chain %s of %s %s drops by %s what containers send", c.Name, family, c.Table.Name, by)
	if *c.Priority <= markFrom || *c.Priority >= markTo {
		return what + fmt.Sprintf(": accept their subnets there, since our mark is on between the priorities %d and %d alone", markFrom, markTo)
	}
	return what + fmt.Sprintf(": nft 'insert rule %s %s %s %s'", family, c.Table.Name, c.Name, firewall.PassRule)
}
