package known

import (
	"strconv"

	"github.com/trestle-cni/trestle/pkg/operator/conflist"
)

// Flow is how fast an entry lets an interface send or receive.
type Flow struct {
	Key   *conflist.Node // the burst's
	Name  string         // its key
	Rate  float64        // bits a second
	Burst float64        // bits that may go at once
	Bound string         // the key that bounds a burst
}

// FlowsOf are the bounds that stand in the entry itself.
func FlowsOf(entry *conflist.Node) (list []Flow) {
	p := Of(Type(entry))
	for _, keys := range p.Flows {
		rate, burst := quantity(entry.Get(keys[0])), quantity(entry.Get(keys[1]))
		if most := quantity(entry.Get(p.MostBurst)); most > 0 {
			burst = min(burst, most)
		}
		if rate > 0 && burst > 0 {
			list = append(list, Flow{entry.Get(keys[1]), keys[1], rate, burst, p.MostBurst})
		}
	}
	return list
}

// quantity is a number's value, 0 of anything else.
func quantity(n *conflist.Node) float64 {
	if n == nil || n.Kind != conflist.Number {
		return 0
	}
	value, _ := strconv.ParseFloat(n.Text, 64) // of what is too great the greatest
	return value
}

// AllowedBy is the file in which an operator allows what the entry asks for, and the names that the entry has; no names: it asks for nothing such.
func AllowedBy(entry *conflist.Node) (file string, names []conflist.Member) {
	p := Of(Type(entry))
	if p.Allows == "" {
		return "", nil
	}
	for _, from := range []*conflist.Node{entry, entry.Get("args").Get("cni")} {
		if asked := from.Get(p.Allows); asked != nil {
			names = append(names, asked.Members...)
		}
	}
	return p.AllowList, names
}
