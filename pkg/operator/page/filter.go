package page

import (
	"fmt"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// filter shows the packet filter, table by table and chain by chain, with what each rule has counted. Chains without rules that accept, and the
// elements of sets beyond their number, are left out.
func filter(n *observe.Namespace) Section {
	s := Section{Title: "packet filter", Head: []string{"TABLE", "CHAIN", "PACKETS", "MADE BY", "RULE"}}
	if n.Filter == nil {
		return s
	}
	for _, gap := range n.Filter.Gaps {
		s.row(Bad, "", "", "", "", "not read: "+gap)
	}
	for _, t := range n.Filter.Tables {
		for _, c := range t.Chains {
			chainRows(&s, t, c)
		}
		for _, set := range t.Sets {
			if len(set.Elements) > 0 && set.Name != "" {
				who := tableOrigin(t)
				s.row(of(who), tableName(t), "set "+set.Name, "", string(who), fmt.Sprintf("elements: %d", len(set.Elements)))
			}
		}
	}
	return s
}

func chainRows(s *Section, t *ruleset.Table, c *ruleset.Chain) {
	who := ruleOrigin(t, c, nil)
	if c.Hook != "" && (len(c.Rules) > 0 || c.Policy == "drop") {
		mark := of(who)
		if c.Policy == "drop" {
			mark = Bad
		}
		text := fmt.Sprintf("(%s at %s, priority %d, policy %s)", c.Type, c.Hook, c.Priority, policyText(c))
		s.row(mark, tableName(t), c.Name, "", string(who), text)
	}
	for _, r := range c.Rules {
		who := ruleOrigin(t, c, r)
		s.row(of(who), tableName(t), c.Name, packets(r), string(who), r.Text)
	}
}

func policyText(c *ruleset.Chain) string {
	if c.Policy == "" {
		return "accept"
	}
	return c.Policy
}

func packets(r *ruleset.Rule) string {
	if r.Counter == nil {
		return ""
	}
	return fmt.Sprint(r.Counter.Packets)
}

func tableName(t *ruleset.Table) string {
	if t.Flavour == ruleset.Legacy {
		return t.String() + " (legacy)"
	}
	return t.String()
}

// tableOrigin tells by its name who made a table.
func tableOrigin(t *ruleset.Table) observe.Origin {
	switch {
	case firewall.OwnTable(t.Name):
		return observe.Trestle
	case t.Name == "cni_hostport", t.Name == "cni_plugins_masquerade":
		return observe.Reference
	case t.Name == "docker-bridges":
		return observe.Docker
	}
	return observe.Foreign
}

// ruleOrigin tells by the names of chains and by comments who made a rule in a table that many share. Rules in the form of the reference may be
// of our backend iptables; whose an attachment's are, its page says.
func ruleOrigin(t *ruleset.Table, c *ruleset.Chain, r *ruleset.Rule) observe.Origin {
	if who := tableOrigin(t); who != observe.Foreign {
		return who
	}
	names, comment := c.Name, ""
	if r != nil {
		names, comment = names+" "+r.Text, r.Comment
	}
	switch {
	case strings.Contains(names, firewall.ChainPrefix), comment == firewall.Anchor, comment == firewall.AnchorAdmin:
		return observe.Trestle
	case strings.Contains(names, "CNI-"):
		return observe.Reference
	case strings.Contains(names, "DOCKER"), strings.Contains(names, "docker0"):
		return observe.Docker
	}
	return observe.Foreign
}
