package snapshot

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// filter returns the nftables ruleset, a line for each table, chain, rule, set and element. The iptables of Debian keeps its rules there, too.
func filter() (lines []string, err error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, fmt.Errorf("nftables: tables: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("nftables: chains: %w", err)
	}
	for _, table := range tables {
		lines = append(lines, "table "+tableName(table))
		sets, err := setLines(conn, table)
		if err != nil {
			return nil, err
		}
		lines = append(lines, sets...)
	}
	for _, chain := range chains {
		lines = append(lines, chainLine(chain))
		rules, err := conn.GetRules(chain.Table, chain)
		if err != nil {
			return nil, fmt.Errorf("nftables: chain %s: %w", chain.Name, err)
		}
		for i, rule := range rules {
			text, err := ruleText(rule)
			if err != nil {
				return nil, err
			}
			lines = append(lines, fmt.Sprintf("rule %s %s %03d%s", tableName(chain.Table), chain.Name, i, text))
		}
	}
	return lines, nil
}

func tableName(t *nftables.Table) string {
	family := map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
		nftables.TableFamilyARP: "arp", nftables.TableFamilyBridge: "bridge", nftables.TableFamilyNetdev: "netdev",
	}[t.Family]
	return family + " " + t.Name
}

func chainLine(c *nftables.Chain) string {
	line := "chain " + tableName(c.Table) + " " + c.Name
	if c.Hooknum != nil && c.Priority != nil {
		line += fmt.Sprintf(" type %s hook %d priority %d", c.Type, *c.Hooknum, *c.Priority)
	}
	if c.Policy != nil {
		line += fmt.Sprintf(" policy %d", *c.Policy)
	}
	return line
}

// ruleText writes the rule as the virtual machine sees it: its expressions, each with its operands.
func ruleText(rule *nftables.Rule) (string, error) {
	var b strings.Builder
	for _, e := range rule.Exprs {
		name := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "*expr."))
		if _, counts := e.(*expr.Counter); counts {
			b.WriteString(" counter")
			continue
		}
		operands, err := json.Marshal(e)
		if err != nil {
			return "", fmt.Errorf("nftables: %s: %w", name, err)
		}
		b.WriteString(" " + name + string(operands))
	}
	if len(rule.UserData) > 0 {
		fmt.Fprintf(&b, " comment %q", rule.UserData)
	}
	return b.String(), nil
}
