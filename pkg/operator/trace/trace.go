package trace

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// Question is what is asked: whether From reaches To.
type Question struct {
	From     *Place
	Entry    string     // link of From by which the packet comes from outside; empty: From sends it
	Source   netip.Addr // invalid: as From chooses
	To       netip.Addr
	Port     uint16 // 0 for protocols without
	Protocol uint8  // IANA number
}

func (q Question) String() string {
	to := q.To.String()
	if q.Port != 0 {
		to = netip.AddrPortFrom(q.To, q.Port).String()
	}
	from := q.From.Name
	if q.Entry != "" {
		from = "outside"
	}
	return fmt.Sprintf("%s to %s (%s)", from, to, ruleset.ProtocolName(q.Protocol))
}

// Answer is what becomes of the packet and of its answer.
type Answer struct {
	Question string  `json:"question"`
	Outcome  Outcome `json:"outcome"`
	Why      string  `json:"why,omitempty"` // of any outcome but reachable
	Remedy   string  `json:"remedy,omitempty"`
	// Rule dropped the packet, or its answer.
	Rule *ruleset.Met `json:"rule,omitempty"`
	// At is the namespace where it arrives, and Seen the source that it has there.
	At    string     `json:"at,omitempty"`
	Seen  netip.Addr `json:"seen,omitzero"`
	There []Hop      `json:"there"`
	Back  []Hop      `json:"back,omitempty"`
	// Notes are what is wrong with the attachments at both ends.
	Notes []string `json:"notes,omitempty"`
	// Live is what a real packet met, where one was sent, and Contradicts that it fared otherwise than was judged.
	Live        *Live `json:"live,omitempty"`
	Contradicts bool  `json:"contradicts,omitempty"`
}

// clientPort stands for the port that a client's kernel would choose.
const clientPort = 54321

// Ask follows the packet there, and the answer back.
func (t *Town) Ask(q Question) *Answer { return t.explain(q, t.follow(q)) }

func (t *Town) follow(q Question) *Answer {
	j := &journey{town: t, memory: make(map[*Place][]*connection), current: make(map[*Place]*connection)}
	j.packet = ruleset.Packet{Source: q.Source, Destination: q.To, Protocol: q.Protocol, DestinationPort: q.Port}
	if q.Port != 0 {
		j.packet.SourcePort = clientPort
	}
	a := &Answer{Question: q.String()}
	e := j.begin(q)
	a.There = j.hops
	if e.outcome != Reachable {
		return a.end(e, "")
	}
	a.At, a.Seen = e.place.Name, j.packet.Source
	if j.external {
		a.At = "outside"
		return j.beyond(q, a)
	}
	if q.Port != 0 && !listens(e.place, &j.packet) {
		a.Outcome, a.Why = Refused, fmt.Sprintf("it arrives in %s, where nothing listens on %s of %s", e.place.Name,
			ruleset.ProtocolName(q.Protocol), ending(tupleOf(&j.packet)[1]))
		a.Remedy = "start the server, or let it listen on that address (it may listen on 127.0.0.1 alone)"
		return a
	}
	return j.answer(e.place, q, a)
}

func (j *journey) begin(q Question) *end {
	if q.Entry == "" {
		return j.send(q.From)
	}
	l := q.From.link(q.Entry)
	j.say(q.From, nil, "comes in by %s from %s", q.Entry, j.packet.Source)
	if l.port != nil {
		return j.toBridge(q.From, l, j.packet.Destination)
	}
	return j.arrive(q.From, l, false)
}

// end writes how the way ended; on says which way it was.
func (a *Answer) end(e *end, on string) *Answer {
	a.Outcome, a.Why, a.Remedy, a.Rule = e.outcome, e.why, e.remedy, e.rule
	if on != "" {
		a.Why = on + e.why
		if e.outcome == Dropped {
			a.Outcome = Unanswered
		}
	}
	return a
}

// beyond is what can be said of what has left the host.
func (j *journey) beyond(q Question, a *Answer) *Answer {
	a.Outcome = Reachable
	a.Why = "as far as this host can tell"
	if own := q.From.holder(a.Seen); q.From.Path != "" && own != nil {
		a.Why = fmt.Sprintf("as far as this host can tell; whoever is outside must know a way back to %s", a.Seen)
	}
	return a
}

// answer follows the answer back.
func (j *journey) answer(from *Place, q Question, a *Answer) *Answer {
	client := tupleOf(&j.packet)
	j.reply, j.hops, j.steps, j.current = true, nil, 0, make(map[*Place]*connection)
	j.packet = ruleset.Packet{Source: client[1].Addr(), SourcePort: client[1].Port(), Destination: client[0].Addr(), DestinationPort: client[0].Port(),
		Protocol: q.Protocol}
	e := j.send(from)
	a.Back = j.hops
	if j.external && e.outcome == Reachable && q.Entry != "" {
		e.place = q.From
	}
	if e.outcome != Reachable {
		return a.end(e, "its answer: ")
	}
	return j.compare(e.place, q, a)
}

// compare says whether the client would take the answer for one to its question.
func (j *journey) compare(at *Place, q Question, a *Answer) *Answer {
	a.Outcome = Unanswered
	source, asked := tupleOf(&j.packet)[0], netip.AddrPortFrom(q.To, q.Port)
	switch {
	case at != q.From:
		a.Why = fmt.Sprintf("its answer goes to %s and not to %s", at.Name, q.From.Name)
	case source != asked:
		a.Why = fmt.Sprintf("its answer comes from %s, where the client asked %s: it does not pass the host that translated the request",
			ending(source), ending(asked))
		a.Remedy = `publish with "snat": true, or switch bridge-nf-call on`
	default:
		a.Outcome = Reachable
	}
	return a
}

// listens says whether a socket of the place takes the packet. Of other protocols than tcp and udp it says yes.
func listens(p *Place, packet *ruleset.Packet) bool {
	family := uint8(unix.AF_INET6)
	families := []uint8{family}
	if packet.Destination.Is4() {
		families = []uint8{unix.AF_INET, family} // a socket of IPv6 may take IPv4 as well
	}
	for _, family := range families {
		list, known := p.sockets(family, packet.Protocol)
		if !known {
			return true
		}
		for _, s := range list {
			a := s.Addr()
			if s.Port() == packet.DestinationPort && (a.IsUnspecified() || a == packet.Destination) {
				return true
			}
		}
	}
	return false
}

// sockets are those that wait for somebody; false where it is not known.
func (p *Place) sockets(family, protocol uint8) (list []netip.AddrPort, known bool) {
	const listening = 10 // TCP_LISTEN
	known = protocol == unix.IPPROTO_TCP || protocol == unix.IPPROTO_UDP
	if !known {
		return nil, false
	}
	ask := p.SocketDiagUDP
	if protocol == unix.IPPROTO_TCP {
		ask = p.SocketDiagTCP
	}
	var found []*netlink.Socket
	err := p.do(func() (err error) { // the library opens its socket in the calling thread's namespace
		found, err = ask(family)
		return err
	})
	if err != nil {
		return nil, false
	}
	for _, s := range found {
		if protocol == unix.IPPROTO_TCP && s.State != listening || protocol == unix.IPPROTO_UDP && s.ID.DestinationPort != 0 {
			continue
		}
		if a, ok := netip.AddrFromSlice(s.ID.Source); ok {
			list = append(list, netip.AddrPortFrom(a.Unmap(), s.ID.SourcePort)) // the library has IPv4 in IPv6
		}
	}
	return list, true
}
