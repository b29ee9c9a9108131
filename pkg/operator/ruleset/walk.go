package ruleset

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Action is what becomes of a packet.
type Action string

// The actions.
const (
	Accept  Action = "accept"
	Drop    Action = "drop"
	Reject  Action = "reject"  // dropped, and the sender is told
	Unknown Action = "unknown" // it hangs on something that is not understood
)

// Met is a rule, or a chain's policy, that a packet meets and that says something about it.
type Met struct {
	Flavour Flavour `json:"flavour"`
	Table   string  `json:"table"` // family and name
	Chain   string  `json:"chain"`
	Handle  uint64  `json:"handle,omitempty"`
	Text    string  `json:"text"` // the rule, or "policy drop"
}

// String names the rule as operators look for it.
func (m Met) String() string { return fmt.Sprintf("chain %s of %s (%s)", m.Chain, m.Table, m.Text) }

// signal is what a part of a rule says.
type signal uint8

const (
	goOn     signal = iota // to the next part; after the last, to the next rule
	miss                   // the rule is not about this packet
	accepted               // this base chain lets it pass
	dropped                // it is gone
	rejected               // it is gone, and its sender is told
	returned               // back to the calling chain
	lost                   // not to be told
)

// walk is a packet on its way through one hook.
type walk struct {
	packet Packet
	kernel Kernel
	table  *Table
	chain  *Chain
	rule   *Rule

	registers raw
	met       []Met
	depth     int
	left      *int // steps, of all walks of the judgment
	moved     bool // an address was translated by a rule
	reason    string

	answers []bool // to doubts: whether the rule is about the packet
	asked   int
	doubts  []string
}

// unsure is asked where a rule hangs on something unknown: the same walk is made once for each answer.
func (w *walk) unsure(what string) signal {
	if w.asked == len(w.answers) {
		w.answers = append(w.answers, false)
		w.doubts = append(w.doubts, fmt.Sprintf("chain %s of %s: rule %q uses %s", w.chain.Name, w.table, w.rule.Text, what))
	}
	w.asked++
	if w.answers[w.asked-1] {
		return goOn
	}
	return miss
}

// base walks through a base chain.
func (w *walk) base(s station) signal {
	w.table = s.Table
	switch result := w.through(s.Chain); result {
	case goOn, returned:
		if s.Policy != "drop" {
			return accepted
		}
		w.met = append(w.met, Met{Flavour: s.Flavour, Table: s.Table.String(), Chain: s.Chain.Name, Text: "policy drop"})
		return dropped
	default:
		return result
	}
}

// deepest is NFT_JUMP_STACK_SIZE; the kernel refuses rulesets with more.
const deepest = 16

func (w *walk) through(c *Chain) signal {
	if w.depth++; w.depth > deepest {
		w.reason = "chains call each other more than 16 deep"
		return lost
	}
	defer func(chain *Chain) { w.depth--; w.chain = chain }(w.chain)
	for _, r := range c.Rules {
		w.chain, w.rule = c, r
		if !w.step(1) {
			return lost
		}
		switch result := w.apply(r); result {
		case miss, goOn:
		case returned:
			return goOn
		default:
			return result
		}
	}
	return goOn
}

// apply asks one rule.
func (w *walk) apply(r *Rule) signal {
	w.registers = raw{}
	for _, p := range r.parts {
		before := len(w.met)
		result := p.run(w)
		if result == goOn {
			continue
		}
		if result != miss && len(w.met) == before {
			w.note(r)
		}
		return result
	}
	return goOn
}

func (w *walk) note(r *Rule) {
	w.met = append(w.met, Met{w.table.Flavour, w.table.String(), w.chain.Name, r.Handle, r.Text})
}

// jump is a verdict: of a rule, or of an element of a map.
type jump struct {
	code  int32
	chain string
}

func (j *jump) run(w *walk) signal {
	switch j.code {
	case unix.NFT_CONTINUE:
		return goOn
	case unix.NFT_RETURN:
		return returned
	case unix.NFT_JUMP, unix.NFT_GOTO:
		return j.call(w)
	case 0: // NF_DROP
		return dropped
	case 1: // NF_ACCEPT
		return accepted
	}
	w.reason = fmt.Sprintf("chain %s of %s hands it to a program (%s)", w.chain.Name, w.table, w.rule.Text)
	return lost
}

func (j *jump) call(w *walk) signal {
	c := w.table.Chain(j.chain)
	if c == nil {
		w.reason = fmt.Sprintf("%s has no chain %s", w.table, j.chain)
		return lost
	}
	if len(c.Rules) > 0 {
		w.note(w.rule)
	}
	from, rule := w.chain, w.rule
	result := w.through(c)
	w.chain, w.rule = from, rule
	if result == goOn && j.code == unix.NFT_GOTO {
		return returned
	}
	if result == goOn {
		w.forget(from, rule)
	}
	return result
}

// forget takes back the note of a jump that came to nothing.
func (w *walk) forget(c *Chain, r *Rule) {
	if n := len(w.met); n > 0 && w.met[n-1] == (Met{w.table.Flavour, w.table.String(), c.Name, r.Handle, r.Text}) {
		w.met = w.met[:n-1]
	}
}

// translate is what a rule of the kind nat does: the first wins.
func (w *walk) translate(source bool, to netip.AddrPort) signal {
	w.moved = true
	w.note(w.rule)
	if source {
		w.packet.SNAT = true
		w.packet.Source = to.Addr()
		if to.Port() != 0 {
			w.packet.SourcePort = to.Port()
		}
		return accepted
	}
	w.packet.DNAT = true
	w.packet.Destination = to.Addr()
	if to.Port() != 0 {
		w.packet.DestinationPort = to.Port()
	}
	return accepted
}
