package trace

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// Hop is one step of a packet: where, what is done, and why.
type Hop struct {
	Place string        `json:"place"`
	What  string        `json:"what"`
	Rules []ruleset.Met `json:"rules,omitempty"` // that said something
}

// end is how a packet's way ended.
type end struct {
	outcome Outcome
	place   *Place
	why     string
	remedy  string
	rule    *ruleset.Met // that dropped it
}

// Outcome is the answer of a trace.
type Outcome string

// The outcomes.
const (
	Reachable  Outcome = "reachable"
	Dropped    Outcome = "dropped"    // on the way there
	Refused    Outcome = "refused"    // it comes there, and nobody listens
	Unanswered Outcome = "unanswered" // it comes there, and the answer is lost
	Unknown    Outcome = "unknown"    // it hangs on something that is not understood
)

// journey is one packet on its way, and what the places that it passed remember of it.
type journey struct {
	town     *Town
	packet   ruleset.Packet
	hops     []Hop
	reply    bool
	memory   map[*Place][]*connection
	current  map[*Place]*connection // the packet's own
	steps    int
	external bool // it left for where no place is
	known    *neighbour
	tag      int // of the VLAN that the frame is in; 0: none
}

// connection is what connection tracking of one place knows.
type connection struct {
	first, last tuple // as it came, and as it went
	now         tuple // as it was seen last, there or back
	dnat, snat  bool
	destDone    bool // the chains of the kind nat were passed that change the destination, or the source
	sourceDone  bool
	untracked   bool
	answered    bool // the answer passed
}

// neighbour is whom a sender takes the next hop to be, for ever.
type neighbour struct {
	by   *Place
	link *link
	addr netip.Addr
	mac  net.HardwareAddr
}

// permanent is the entry of that kind that the place has for the address, nil for none. Others are asked for again when nobody answers there.
func (p *Place) permanent(l *link, a netip.Addr) *neighbour {
	list, _ := p.NeighList(l.Index, 0) // what is not read is not known
	for _, e := range list {
		if other, ok := netip.AddrFromSlice(e.IP); ok && other.Unmap() == a && e.State&netlink.NUD_PERMANENT != 0 && len(e.HardwareAddr) > 0 {
			return &neighbour{p, l, a, e.HardwareAddr}
		}
	}
	return nil
}

// tuple is source and destination.
type tuple [2]netip.AddrPort

func tupleOf(p *ruleset.Packet) tuple {
	return tuple{netip.AddrPortFrom(p.Source, p.SourcePort), netip.AddrPortFrom(p.Destination, p.DestinationPort)}
}

func (j *journey) say(p *Place, rules []ruleset.Met, format string, args ...any) {
	j.hops = append(j.hops, Hop{Place: p.Name, What: fmt.Sprintf(format, args...), Rules: rules})
}

// drop ends the way.
func (j *journey) drop(p *Place, remedy, format string, args ...any) *end {
	why := fmt.Sprintf(format, args...)
	j.say(p, nil, "%s", why)
	return &end{outcome: Dropped, place: p, why: why, remedy: remedy}
}

func (j *journey) lose(p *Place, format string, args ...any) *end {
	why := fmt.Sprintf(format, args...)
	j.say(p, nil, "%s", why)
	return &end{outcome: Unknown, place: p, why: why}
}

// farthest bounds the steps, as the time to live does.
const farthest = 64

// pass takes the packet through a hook of IP. nil means that it goes on.
func (j *journey) pass(p *Place, hook ruleset.Hook, r *route) *end {
	if j.steps++; j.steps > farthest {
		return j.drop(p, "look for two routes that lead to each other", "routing loop: %d steps", farthest)
	}
	c := j.track(p, hook)
	before := tupleOf(&j.packet)
	v := p.rules.Judge(hook, j.packet, eye{p, r})
	if e := j.verdict(p, hook, v); e != nil {
		return e
	}
	j.packet = v.Packet
	after := tupleOf(&j.packet)
	c.untracked = v.Packet.State == ruleset.Untracked
	c.dnat, c.snat = v.Packet.DNAT, v.Packet.SNAT
	switch {
	case before != after && !c.answered:
		j.say(p, v.Met, "%s: %s becomes %s", hook, changed(before, after), changed(after, before))
	case before != after:
		j.say(p, v.Met, "%s: the translation is taken back: %s becomes %s", hook, changed(before, after), changed(after, before))
	case len(v.Met) > 0:
		j.say(p, v.Met, "%s: let through", hook)
	}
	c.pass(hook, after)
	return nil
}

// changed is that end of a that differs from b's.
func changed(a, b tuple) string {
	if a[0] != b[0] {
		return "source " + ending(a[0])
	}
	return "destination " + ending(a[1])
}

func ending(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// track writes into the packet what connection tracking says of it at the hook.
func (j *journey) track(p *Place, hook ruleset.Hook) *connection {
	first := hook == ruleset.Prerouting || hook == ruleset.Output
	if first || j.current[p] == nil {
		j.current[p] = j.find(p)
	}
	c := j.current[p]
	j.packet.Reply, j.packet.DNAT, j.packet.SNAT, j.packet.Original = c.answered, c.dnat, c.snat, c.first
	j.packet.Settled, j.packet.Back, j.packet.State = first && c.destDone || !first && c.sourceDone, netip.AddrPort{}, ruleset.New
	switch {
	case c.untracked:
		j.packet.State = ruleset.Untracked
	case c.answered:
		j.packet.State = ruleset.Established
		if p.rules.Translates() { // the kernel translates nothing where no chain of the kind nat is
			j.packet.Back = c.first[1]
			if first {
				j.packet.Back = c.first[0]
			}
		}
	case j.reply && j.packet.Protocol != unix.IPPROTO_UDP: // an answer to what did not come this way
		j.packet.State = ruleset.Invalid
	}
	return c
}

// find returns the connection that the packet belongs to, as the place knows it, or begins one.
func (j *journey) find(p *Place) *connection {
	now := tupleOf(&j.packet)
	for _, c := range j.memory[p] {
		switch {
		case c.answered == j.reply && c.now == now: // it came by lo, or from a bridge
			return c
		case j.reply && now[0] == c.last[1] && now[1] == c.last[0]:
			c.answered = true
			return c
		}
	}
	c := &connection{first: now}
	j.memory[p] = append(j.memory[p], c)
	return c
}

// pass remembers that the packet went through the hook.
func (c *connection) pass(hook ruleset.Hook, now tuple) {
	c.now = now
	if c.answered {
		return
	}
	switch hook {
	case ruleset.Prerouting, ruleset.Output:
		c.destDone = true
	case ruleset.Input, ruleset.Postrouting:
		c.sourceDone = true
	}
	c.last = now
}

// verdict ends the way where the rules do.
func (j *journey) verdict(p *Place, hook ruleset.Hook, v ruleset.Verdict) *end {
	switch v.Action {
	case ruleset.Accept:
		return nil
	case ruleset.Unknown:
		j.say(p, v.Met, "%s: cannot tell: %s", hook, v.Reason)
		return &end{outcome: Unknown, place: p, why: fmt.Sprintf("in %s: %s", p.Name, v.Reason)}
	}
	rule := v.By()
	j.say(p, v.Met, "%s: dropped", hook)
	return &end{outcome: Dropped, place: p, rule: &rule, why: fmt.Sprintf("dropped by %s", describe(rule)), remedy: remedy(p, hook, rule)}
}

// describe names a rule and says whose it is.
func describe(m ruleset.Met) string {
	text := m.String()
	if m.Flavour == ruleset.Legacy {
		text += " of iptables-legacy"
	}
	if ours(m) {
		return text
	}
	return text + ", not ours"
}

// ours says whether the rule is of a table that is all ours.
func ours(m ruleset.Met) bool {
	_, table, _ := strings.Cut(m.Table, " ")
	return firewall.OwnTable(table)
}

// remedy says what to do about a rule that drops.
func remedy(p *Place, hook ruleset.Hook, m ruleset.Met) string {
	where := ""
	if p.Path != "" {
		where = " in " + p.Name
	}
	switch {
	case firewall.KeepsApart(m.Table, m.Chain):
		return "a network's ingressPolicy keeps the two apart: let it be open or, for two of one bridge, same-bridge"
	case ours(m) && m.Chain != firewall.AdminChain:
		return "it guards containers and the host; see docs/advisories.md"
	case hook == ruleset.Forward && m.Text == "policy drop" && m.Flavour == ruleset.Legacy:
		return "let the container's packets pass" + where + ": iptables-legacy -A FORWARD -s SUBNET -j ACCEPT, and one with -d"
	case hook == ruleset.Forward && m.Text == "policy drop" && m.Flavour == ruleset.Compat:
		return "let the container's packets pass" + where + ": iptables -A FORWARD -s SUBNET -j ACCEPT, and one with -d"
	}
	if hook == ruleset.Forward && m.Text == "policy drop" {
		return fmt.Sprintf("let pass what the plugin firewall marks%s: nft 'insert rule %s %s %s'; or, without that plugin, the container's subnet", where, m.Table, m.Chain, firewall.PassRule)
	}
	return fmt.Sprintf("look at it%s with: nft -a list chain %s %s", where, m.Table, m.Chain)
}
