package model

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// settle forgets what changes nothing any more: answers that nobody waits for, and requests that nobody waits for and that can never be done, because a
// revision that has passed does not come back; so with what the operator has seen. Messages stand in an order of their own, not in that of their sending.
func (w *world) settle(p plant) {
	w.flight = slices.DeleteFunc(w.flight, func(m message) bool {
		if m.from >= 0 && w.machines[m.from].waits == m.number {
			return false
		}
		return m.done || w.passed(m.request)
	})
	slices.SortStableFunc(w.flight, func(a, b message) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.request.Verb, b.request.Verb), cmp.Compare(block(a.request), block(b.request)))
	})
	o := &w.operator
	if q, err := protocol.ReclaimOf(o.record, o.block); err == nil && w.passed(p.sent(q)) {
		o.block = protocol.Entry{}
	}
	if q, err := protocol.BuryBoot(o.record); err == nil && w.passed(p.sent(q)) {
		*o = operator{}
	}
	if o.record.Record.Dead && o.record.Revision != w.entry(o.record.Key).Revision && !p.oldRecord {
		*o = operator{}
	}
}

// passed says whether the request can never be done. What a backup has may come back.
func (w *world) passed(q protocol.Request) bool {
	return slices.ContainsFunc(q.If, func(c protocol.Compare) bool { return c.Revision != 0 && !w.holds(c) && !w.mayReturn(c) })
}

func (w *world) mayReturn(c protocol.Compare) bool {
	if w.backup == nil || w.restored {
		return false
	}
	then := w.clone()
	then.records, then.blocks, then.pool = w.backup.records, w.backup.blocks, w.backup.pool
	return then.holds(c)
}

// sent is what goes to the store.
func (p plant) sent(q protocol.Request) protocol.Request {
	if p.send == nil {
		return q
	}
	return p.send(q)
}

// A writer writes a world down so that two are written alike where they differ by names only: revisions, nonces and boots are compared, and nothing
// else, so the first that is met is 1, the next is 2. That is what makes the world finite: there is no longest history.
type writer struct {
	out       []byte
	revisions []int64
	names     []string
}

func (e *writer) revision(r int64) { e.out = append(e.out, number(&e.revisions, r)) }

func (e *writer) name(s string) { e.out = append(e.out, number(&e.names, s)) }

// number is the value's place among those that were met, from 1 on; 0 for none.
func number[T comparable](met *[]T, v T) byte {
	if v == *new(T) {
		return 0
	}
	i := slices.Index(*met, v)
	if i < 0 {
		i = len(*met)
		*met = append(*met, v)
	}
	return byte(i + 1)
}

func (e *writer) bit(b bool) {
	if b {
		e.out = append(e.out, 1)
	} else {
		e.out = append(e.out, 0)
	}
}

func (e *writer) key(k protocol.Key) {
	e.out = append(e.out, byte(k.Kind), byte(k.Block.Index))
	e.out = append(e.out, k.Node...)
}

func (e *writer) entry(x protocol.Entry) {
	e.revision(x.Revision)
	if x.Revision == 0 {
		return
	}
	e.content(x)
}

func (e *writer) content(x protocol.Entry) {
	switch x.Key.Kind {
	case protocol.OfPool:
		e.out = append(e.out, byte(x.Pool.Len(4)))
	case protocol.OfNode:
		e.name(x.Record.Boot)
		e.bit(x.Record.Dead)
	case protocol.OfBlock:
		e.out = append(e.out, x.Owner.Node[0])
		e.name(x.Owner.Nonce)
	}
}

func (e *writer) entries(list []protocol.Entry) {
	for _, x := range list {
		e.entry(x)
	}
}

func (e *writer) machine(m machine) {
	e.bit(m.up)
	e.bit(m.agent)
	e.bit(m.owes)
	e.out = append(e.out, m.open, m.used, m.had, byte(m.size), m.state.Node[0])
	e.name(m.boot)
	e.name(m.state.Boot)
	e.revision(m.state.Record)
	e.revision(m.state.Pool)
	e.out = append(e.out, byte(len(m.state.Blocks)))
	for _, b := range m.state.Blocks {
		e.out = append(e.out, byte(b.ID.Index), byte(b.Phase))
		e.revision(b.Epoch)
		e.name(b.Nonce)
	}
}

func (e *writer) message(w *world, m message) {
	e.out = append(e.out, byte(m.from), byte(m.request.Verb))
	e.bit(m.from >= 0 && w.machines[m.from].waits == m.number)
	e.bit(m.done)
	for _, c := range m.request.If {
		e.key(c.Key)
		e.revision(c.Revision)
	}
	if m.request.Put != nil {
		e.key(m.request.Put.Key)
		e.content(*m.request.Put)
	}
	if !m.done {
		return
	}
	e.bit(m.reply.Committed)
	e.revision(m.reply.Revision)
	for _, x := range m.reply.Entries {
		e.entry(x)
	}
}

func (e *writer) sum(w *world) (sum [16]byte) {
	e.out, e.revisions, e.names = e.out[:0], e.revisions[:0], e.names[:0]
	e.entry(w.pool)
	e.entries(w.records)
	for _, m := range w.machines {
		e.machine(m)
	}
	e.entries(w.blocks)
	e.bit(w.restored)
	e.bit(w.frozen)
	if w.backup != nil && !w.restored {
		e.entry(w.backup.pool)
		e.entries(w.backup.records)
		e.entries(w.backup.blocks)
	}
	for _, m := range w.flight {
		e.message(w, m)
	}
	e.key(w.operator.record.Key)
	e.entry(w.operator.record)
	e.key(w.operator.block.Key)
	e.entry(w.operator.block)
	full := sha256.Sum256(e.out)
	return [16]byte(full[:16])
}

// A finding is what a search found: how many worlds there are, what happened in them, and the shortest way to one that must not be.
type finding struct {
	worlds int
	kinds  map[string]int
	fault  string
	way    []event
}

func (f finding) String() string {
	text := fmt.Sprintf("%d worlds", f.worlds)
	if f.fault == "" {
		return text
	}
	lines := []string{fmt.Sprintf("%s after %d, in %d steps:", f.fault, f.worlds, len(f.way))}
	for _, ev := range f.way {
		lines = append(lines, "  "+ev.String())
	}
	return strings.Join(lines, "\n")
}

func (ev event) String() string {
	text := ev.kind
	if ev.who >= 0 {
		text = fmt.Sprintf("machine %d: %s", ev.who, ev.kind)
	}
	if ev.what >= 0 {
		text += fmt.Sprintf(" block %d", ev.what)
	}
	return text
}

// step is how a world was come by, for the way there.
type step struct {
	before int32
	event  event
}

// search goes through every world that the scene has, nearest first, until one has a fault.
func search(s scene) finding {
	found := finding{kinds: make(map[string]int)}
	first := begin(s)
	var write writer
	known := map[[16]byte]struct{}{write.sum(first): {}}
	steps := []step{{before: -1}}
	type place struct {
		w  *world
		at int32
	}
	for queue := []place{{first, 0}}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		queue[0].w = nil
		here.w.events(s, func(ev event, next *world) {
			if found.fault != "" {
				return
			}
			found.kinds[ev.kind]++
			next.settle(s.plant)
			sum := write.sum(next)
			if _, ok := known[sum]; ok && (next.wrong == "" || s.twice) {
				return
			}
			known[sum] = struct{}{}
			steps = append(steps, step{here.at, ev})
			if found.fault = next.fault(s); found.fault != "" {
				found.way = wayTo(steps)
				return
			}
			queue = append(queue, place{next, int32(len(steps) - 1)})
		})
		if found.fault != "" {
			break
		}
	}
	found.worlds = len(known)
	return found
}

func wayTo(steps []step) (way []event) {
	for at := int32(len(steps) - 1); steps[at].before >= 0; at = steps[at].before {
		way = append(way, steps[at].event)
	}
	slices.Reverse(way)
	return way
}
