package nft

import (
	"slices"

	"github.com/google/nftables/expr"
)

// Dropped is what one of our rules has dropped since its table was made.
type Dropped struct {
	Reason  string // why, in the words of people
	Table   string
	Chain   string
	Rule    string // as nft(8) has it
	Packets uint64
	Bytes   uint64 // as the hook sees them: with the network header, in the bridge family less the frame's own
}

// reasons is why the rules of a chain drop, by the table and the chain.
var reasons = map[string]string{
	"inet trestle guard":             "to or from the host's loopback, but not by it",
	"inet trestle stray4":            "of no connection, so not to be masqueraded",
	"inet trestle stray6":            "of no connection, so not to be masqueraded",
	"bridge trestle fromport":        "from a MAC that is not the container's",
	"bridge trestle ipv4router":      "a container says that it is a router",
	"bridge trestle ipv6router":      "a container says that it is a router",
	"bridge trestle tagged":          "a VLAN's tag below another",
	"inet trestle_forward forward":   "between isolated bridges",
	"bridge trestle_forward forward": "between isolated ports of a bridge",
}

// Dropped lists the rules of ours that drop, with what each has dropped, in the order of the tables. A table that is not there, or that another version
// made, drops nothing that is known here.
func (f *Filter) Dropped() (list []Dropped, err error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return nil, explain(err)
	}
	there, err := f.conn.ListTables()
	if err != nil {
		return nil, explain(err)
	}
	if f.drops == nil {
		f.drops = everyTable()
	}
	for _, t := range f.drops {
		if !slices.ContainsFunc(there, t.is) {
			continue
		}
		for _, c := range t.laid() {
			some, err := f.droppedBy(t, c)
			if err != nil {
				return nil, explain(err)
			}
			list = append(list, some...)
		}
	}
	return list, nil
}

// droppedBy reads the counters of a chain, and passes over rules that are not as they were made.
func (f *Filter) droppedBy(t *table, c *chain) (list []Dropped, err error) {
	if !slices.ContainsFunc(c.rules, rule.drops) {
		return nil, nil
	}
	found, err := f.conn.GetRules(t.Table, &c.Chain)
	if err != nil {
		return nil, err
	}
	for i, r := range c.rules[:min(len(c.rules), len(found))] {
		if same, err := sameRule(byte(t.Family), r.exprs, found[i].Exprs); err != nil || !same || !r.drops() {
			continue
		}
		counter := found[i].Exprs[slices.IndexFunc(r.exprs, counts)].(*expr.Counter)
		list = append(list, Dropped{Reason: reasons[t.String()+" "+c.Name], Table: t.String(), Chain: c.Name, Rule: r.text,
			Packets: counter.Packets, Bytes: counter.Bytes})
	}
	return list, nil
}

// drops says whether it is a rule that drop made.
func (r rule) drops() bool { return slices.ContainsFunc(r.exprs, counts) }
