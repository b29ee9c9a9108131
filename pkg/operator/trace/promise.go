package trace

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// Promise is what an attachment was given, by what its runtime remembers, and what is wrong with it now.
type Promise struct {
	Attachment string
	Namespace  uint64 // its inode
	Addresses  []netip.Addr
	Ports      []Port
	Masked     bool     // it leaves with the host's address
	Broken     []string // what differs; none: it is whole
}

// Port is one that the host publishes for an attachment.
type Port struct {
	HostIP   netip.Addr // invalid: any of the host's
	Number   uint16
	Protocol string
}

// explain adds what is known of the attachments at both ends: that one is broken and, where the packet went astray for that, so that nobody looks
// for the fault elsewhere.
func (t *Town) explain(q Question, a *Answer) *Answer {
	for _, p := range t.Promises {
		publishes := t.publishes(p, q)
		if len(p.Broken) == 0 || !publishes && !p.has(q.To) && !t.within(p, q.From) {
			continue
		}
		a.Notes = append(a.Notes, p.note())
		switch {
		case publishes && a.At == t.Host().Name:
			a.Outcome, a.Remedy = Dropped, again
			a.Why = fmt.Sprintf("port %d/%s is published for %s, and no rule leads there: it arrives at the host itself", q.Port,
				ruleset.ProtocolName(q.Protocol), p.Attachment)
		case p.Masked && p.has(a.Seen) && t.foreign(a.At) && (a.Outcome != Reachable || a.At == outside):
			a.Outcome, a.Remedy = Unanswered, again
			a.Why = fmt.Sprintf("it leaves as %s, where it was to have the host's address: no rule masquerades %s", a.Seen, p.Attachment)
		case a.Outcome != Reachable && a.Remedy == "":
			a.Remedy = "trestle doctor"
		}
	}
	return a
}

// again is the remedy for rules that somebody swept away.
const again = "trestle repair"

func (p Promise) note() string {
	text := fmt.Sprintf("%s is broken: %s", p.Attachment, p.Broken[0])
	if more := len(p.Broken) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more: trestle show %s)", more, p.Attachment)
	}
	return text
}

// foreign says whether the name is of a place that is neither the host nor a container.
func (t *Town) foreign(name string) bool {
	if name == "" || name == t.Host().Name {
		return false
	}
	return !slices.ContainsFunc(t.Places, func(place *Place) bool {
		return place.Name == name && slices.ContainsFunc(t.Promises, func(p Promise) bool { return t.within(p, place) })
	})
}

func (p Promise) has(a netip.Addr) bool { return slices.Contains(p.Addresses, a) }

// within says whether the attachment is the place's.
func (t *Town) within(p Promise, place *Place) bool {
	return place != nil && place.Path != "" && p.Namespace != 0 && netns.Number(place.Path) == p.Namespace
}

// publishes says whether what is asked for is a port of the host that leads to the attachment.
func (t *Town) publishes(p Promise, q Question) bool {
	if t.Host().holder(q.To) == nil {
		return false
	}
	return slices.ContainsFunc(p.Ports, func(port Port) bool {
		every := !port.HostIP.IsValid() || port.HostIP.IsUnspecified() && port.HostIP.Is4() == q.To.Is4()
		return port.Number == q.Port && port.Protocol == ruleset.ProtocolName(q.Protocol) && (every || port.HostIP == q.To)
	})
}

// given is the address of the family that the place's attachments were given, where the place has none any more.
func (t *Town) given(place *Place, is4 bool) netip.Addr {
	for _, p := range t.Promises {
		for _, a := range p.Addresses {
			if t.within(p, place) && a.Is4() == is4 && !a.IsLoopback() {
				return a
			}
		}
	}
	return netip.Addr{}
}

// published reads a target that is the number of a published port alone, as `trestle show` does: where it is asked for. Empty: it is none.
func (t *Town) published(to string) string {
	number, protocol, _ := strings.Cut(to, "/")
	for _, p := range t.Promises {
		for _, port := range p.Ports {
			if fmt.Sprint(port.Number) != number || protocol != "" && protocol != port.Protocol {
				continue
			}
			host := t.Host().Name
			if port.HostIP.IsValid() && !port.HostIP.IsUnspecified() {
				host = "[" + port.HostIP.String() + "]"
			}
			return fmt.Sprintf("%s:%s/%s", host, number, port.Protocol)
		}
	}
	return ""
}

// Send sends one packet as well, and says whether it fared as was judged.
func (t *Town) Send(ctx context.Context, q Question, a *Answer) (err error) {
	if a.Live, err = t.Probe(ctx, q); err == nil {
		a.Contradicts = a.contradicted()
	}
	return err
}

// contradicted says whether a real packet fared otherwise than was judged. A packet that left for somebody whom this host does not know may be
// lost out there.
func (a *Answer) contradicted() bool {
	return a.Live != nil && a.Outcome != Unknown && (a.Live.Outcome == Reachable) != (a.Outcome == Reachable)
}

// Fate is what became of the packet: of a real one, where one was sent; else as it was judged.
func (a *Answer) Fate() Outcome {
	if a.Live != nil {
		return a.Live.Outcome
	}
	return a.Outcome
}
