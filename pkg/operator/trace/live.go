package trace

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Live is what a real packet met.
type Live struct {
	Outcome Outcome  `json:"outcome"` // reachable, refused, or dropped for all that was not answered
	Why     string   `json:"why,omitempty"`
	There   []Hop    `json:"there"`
	Back    []Hop    `json:"back,omitempty"`
	Silent  []string `json:"silent,omitempty"` // namespaces that could not be listened in, and why
}

// Probe sends one packet, and tells the rules that it and its answer met: of nf_tables; those of iptables-legacy say nothing. A server on the
// other side sees a connection that is broken off, or a datagram of one byte.
func (t *Town) Probe(ctx context.Context, q Question) (*Live, error) {
	if q.Entry != "" {
		return nil, fault.New(fault.Config, "ask from a container, a namespace or the host", "probe: from outside: nothing can be sent there")
	}
	var p *probe
	err := q.From.do(func() (err error) {
		p, err = newProbe(q)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer p.close()
	live := &Live{Outcome: Dropped, Why: fmt.Sprintf("no answer within %v", patience)}
	watches := t.watch(p, live)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	heard := listen(watches, stop)
	answered, refused, err := p.run(waiting)
	for _, w := range watches {
		w.quiet()
	}
	live.tell(p, heard())
	for _, w := range watches {
		w.close()
	}
	switch {
	case answered:
		live.Outcome, live.Why = Reachable, ""
	case refused:
		live.Outcome, live.Why = Refused, "the other side, or somebody on the way, refused it"
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return live, err
}

// listen hears in all namespaces, and calls stop when a packet is dropped. The function that it returns waits for the last, and returns them
// all.
func listen(watches []*watch, stop func()) func() []sighting {
	const room = 100
	sink := make(chan sighting, room)
	var listeners sync.WaitGroup
	for _, w := range watches {
		listeners.Go(func() { w.listen(sink) })
	}
	var list []sighting
	done := make(chan bool)
	go func() {
		for s := range sink {
			list = append(list, s)
			if s.verdict != "" {
				stop()
			}
		}
		close(done)
	}()
	return func() []sighting {
		listeners.Wait()
		close(sink)
		<-done
		return list
	}
}

// run sends the probe, and waits.
func (p *probe) run(ctx context.Context) (answered, refused bool, err error) {
	switch err := p.send(); err {
	case nil:
		return p.await(ctx)
	case unix.ECONNREFUSED:
		return false, true, nil
	case unix.EPERM, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EINVAL, unix.EACCES: // dropped on the way out, or no way
		return false, false, nil
	default:
		return false, false, fmt.Errorf("probe: send: %w", err)
	}
}

// watch listens in every namespace.
func (t *Town) watch(p *probe, live *Live) (list []*watch) {
	for _, place := range t.Places {
		w, err := watchPlace(place, p)
		if err != nil {
			live.Silent = append(live.Silent, err.Error())
			continue
		}
		list = append(list, w)
	}
	return list
}

// tell puts the sightings in order: the first packet there, and the first back.
func (live *Live) tell(p *probe, seen []sighting) {
	type key struct {
		place  *Place
		packet uint32
	}
	back := make(map[key]bool)
	known := make(map[key]bool)
	for _, s := range seen {
		k := key{s.place, s.packet}
		if len(s.transport) > 0 && !known[k] {
			direction, whole := p.direction(s.transport)
			known[k], back[k] = whole, direction
		}
		if !known[k] || s.met.Text == "" { // of the marking chains, and what let it go on
			continue
		}
		list := &live.There
		if back[k] {
			list = &live.Back
		}
		what := "met"
		if s.verdict != "" {
			what = "dropped by"
			live.Why = "dropped by " + describe(s.met) + " in " + s.place.Name
		}
		hop := Hop{Place: s.place.Name, What: what + " " + s.met.String()}
		if !slices.ContainsFunc(*list, func(other Hop) bool { return other.What == hop.What && other.Place == hop.Place }) {
			*list = append(*list, hop)
		}
	}
}

// direction says whether the packet goes back, and whether it is the first of its connection that way.
func (p *probe) direction(transport []byte) (back, first bool) {
	const syn, flags = 2, 13
	switch {
	case len(transport) < 4:
		return false, false
	case p.protocol == unix.IPPROTO_ICMP:
		return transport[0] == 0, true
	case p.protocol == unix.IPPROTO_ICMPV6:
		return transport[0] == 129, true
	case p.protocol == unix.IPPROTO_TCP && (len(transport) <= flags || transport[flags]&syn == 0):
		return false, false
	}
	return binary.BigEndian.Uint16(transport[2:]) == p.mark, true
}
