// Package ruleset reads the packet filter of a network namespace as plain data, whoever made it, and judges packets by it.
//
// Read takes what nf_tables holds, which is where the iptables of most distributions keeps its rules, and what the older ip_tables
// holds beside it. Judge tells what the rules do with one packet at one hook, and names the rule. What it does not understand it says: a rule
// that asks something unknown counts both ways, and only where both come to the same is there an answer.
package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/order"
)

// Flavour tells by which tool a table is written and seen.
type Flavour string

// The flavours. The tables of ip_tables and those of nf_tables do not see each other, and packets pass both.
const (
	NFTables Flavour = "nftables"        // nft, or whoever speaks netlink
	Compat   Flavour = "iptables-nft"    // iptables over nf_tables
	Legacy   Flavour = "iptables-legacy" // iptables over the kernel's ip_tables
)

// Ruleset is all that filters packets in one network namespace.
type Ruleset struct {
	Tables []*Table `json:"tables"`
	// Gaps says what could not be read, and why. With any, a verdict of accept is not to be had.
	Gaps []string `json:"gaps,omitempty"`
}

// Table is one table.
type Table struct {
	Family  string   `json:"family"` // ip, ip6, inet, bridge, arp or netdev
	Name    string   `json:"name"`
	Flavour Flavour  `json:"flavour"`
	Chains  []*Chain `json:"chains"`
	Sets    []*Set   `json:"sets,omitempty"`
}

// Chain is a list of rules. A base chain has a hook, by which packets come to it.
type Chain struct {
	Name     string   `json:"name"`
	Type     string   `json:"type,omitempty"`     // filter, nat or route
	Hook     Hook     `json:"hook,omitempty"`     // empty: others jump to it
	Priority int32    `json:"priority,omitempty"` // lower comes first
	Policy   string   `json:"policy,omitempty"`   // accept or drop
	Devices  []string `json:"devices,omitempty"`  // of the hooks ingress and egress
	Rules    []*Rule  `json:"rules,omitempty"`
}

// Rule is one rule. Its text is in the words of the tool that writes such tables, near enough for people; it is not meant to be read back.
type Rule struct {
	Handle  uint64   `json:"handle,omitempty"`
	Text    string   `json:"text"`
	Comment string   `json:"comment,omitempty"`
	Counter *Counter `json:"counter,omitempty"`
	// Unread are the expressions that Judge does not understand.
	Unread []string `json:"unread,omitempty"`

	parts []part
}

// Counter is how much a rule has seen.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Set is a set or map that has a name.
type Set struct {
	Name     string    `json:"name"`
	Map      bool      `json:"map,omitempty"`
	Comment  string    `json:"comment,omitempty"`
	Elements []Element `json:"elements,omitempty"`

	anonymous, intervals bool
	key, data            []kind
	keySize              int
}

// Element is an element of a set.
type Element struct {
	Text    string `json:"text"` // key, and data after " : "
	Comment string `json:"comment,omitempty"`
	// Expiring is true for an element that the kernel will take away in less than a second. Trestle removes elements so.
	Expiring bool `json:"expiring,omitempty"`

	key, end []byte // end is nil for a single key
	open     bool   // an interval without an end
	data     []byte
	verdict  *jump
	catchAll bool
}

func (t *Table) String() string { return t.Family + " " + t.Name }

// Chain returns the chain of the name, nil if there is none.
func (t *Table) Chain(name string) *Chain {
	i := slices.IndexFunc(t.Chains, func(c *Chain) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return t.Chains[i]
}

// Set returns the set of the name, nil if there is none.
func (t *Table) Set(name string) *Set {
	i := slices.IndexFunc(t.Sets, func(s *Set) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return t.Sets[i]
}

// Table returns the table, nil if there is none.
func (r *Ruleset) Table(flavour Flavour, family, name string) *Table {
	i := slices.IndexFunc(r.Tables, func(t *Table) bool { return t.Flavour == flavour && t.Family == family && t.Name == name })
	if i < 0 {
		return nil
	}
	return r.Tables[i]
}

// Populated says whether anything but empty chains that accept is in the table.
func (t *Table) Populated() bool {
	return slices.ContainsFunc(t.Chains, func(c *Chain) bool { return len(c.Rules) > 0 || c.Policy == "drop" })
}

// Translates says whether any chain is of the kind nat. The kernel translates addresses only then, and then at all hooks.
func (r *Ruleset) Translates() bool {
	return slices.ContainsFunc(r.Tables, func(t *Table) bool {
		return slices.ContainsFunc(t.Chains, func(c *Chain) bool { return c.Type == "nat" })
	})
}

// bridgeFamily is the family of tables that see frames within bridges.
const bridgeFamily = "bridge"

// Bridged says whether any table is of the family bridge.
func (r *Ruleset) Bridged() bool {
	return slices.ContainsFunc(r.Tables, func(t *Table) bool { return t.Family == bridgeFamily })
}

// Complete fills in what is known of a rule that the kernel names by family, table, chain and handle.
func (r *Ruleset) Complete(m *Met, family byte, table string) {
	m.Flavour, m.Table = NFTables, familyName(family)+" "+table
	for _, t := range r.Tables {
		if t.Flavour == Legacy || t.String() != m.Table {
			continue
		}
		m.Flavour = t.Flavour
		if c := t.Chain(m.Chain); c != nil {
			for _, rule := range c.Rules {
				if rule.Handle == m.Handle {
					m.Text = rule.Text
				}
			}
		}
	}
}

// Hook is where packets come to a base chain.
type Hook string

// The hooks that packets of IP pass. Those of the family bridge have the same names.
const (
	Prerouting  Hook = "prerouting"
	Input       Hook = "input"
	Forward     Hook = "forward"
	Output      Hook = "output"
	Postrouting Hook = "postrouting"
	Ingress     Hook = "ingress"
	Egress      Hook = "egress"
)

// station is a base chain with its table.
type station struct {
	*Table
	*Chain
}

// Priorities of the kernel's own work, enum nf_ip_hook_priorities of include/uapi/linux/netfilter_ipv4.h.
const (
	conntrack       = -200
	translateDest   = -100
	translateSource = 100
)

// stations returns the base chains of the hook that packets of the family meet, in the order in which they meet them. Chains of the kind nat are
// run at the kernel's own priority, and by their own among themselves.
func (r *Ruleset) stations(families []string, hook Hook) []station {
	var list []station
	for _, t := range r.Tables {
		for _, c := range t.Chains {
			if c.Hook == hook && slices.Contains(families, t.Family) {
				list = append(list, station{t, c})
			}
		}
	}
	order.By(list, func(a, b station) int {
		return cmp.Or(cmp.Compare(a.at(), b.at()), cmp.Compare(a.Priority, b.Priority))
	})
	return list
}

// at is the priority at which packets come to the chain.
func (s station) at() int32 {
	switch {
	case s.Type != "nat":
		return s.Priority
	case s.Hook == Prerouting || s.Hook == Output:
		return translateDest
	}
	return translateSource
}

// familiesOf are the families of tables that a packet of the address's kind meets.
func familiesOf(a netip.Addr) []string {
	if a.Is4() {
		return []string{"ip", "inet"}
	}
	return []string{"ip6", "inet"}
}
