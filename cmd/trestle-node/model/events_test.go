package model

import (
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

var prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.0.0.4/30"), netip.MustParsePrefix("10.0.0.8/30")}

// An event has a kind, and whom it happens to.
type event struct {
	kind string
	who  int8 // a machine, or a message's sender
	what int8 // a block
}

// yield takes what becomes of a world.
type yield func(event, *world)

// events calls yield with each world that may be next.
func (w *world) events(s scene, next yield) {
	for i := range w.machines {
		w.machineEvents(s, i, next)
		if m := &w.machines[i]; m.agent && m.waits == 0 {
			w.agentEvents(s, i, next)
		}
	}
	for i := range w.flight {
		w.messageEvents(s, i, next)
	}
	w.operatorEvents(s, next)
	if s.restore {
		w.restoreEvents(s, next)
	}
	if s.plant.expires {
		for b := range w.blocks {
			if w.blocks[b].Revision != 0 {
				c := w.clone()
				c.blocks[b] = protocol.Entry{Key: w.blocks[b].Key}
				next(event{"expire", -1, int8(b)}, c)
			}
		}
	}
}

// on is a copy of the world in which something was done to the machine.
func (w *world) on(i int, do func(m *machine)) *world {
	c := w.clone()
	do(&c.machines[i])
	return c
}

func (w *world) machineEvents(s scene, i int, next yield) {
	m := w.machines[i]
	ev := func(kind string, what int) event { return event{kind, int8(i), int8(what)} }
	if !m.up {
		c := w.clone()
		c.machines[i].up, c.machines[i].boot = true, "boot"+node(c.fresh())
		next(ev("boots", -1), c)
		for j := range w.machines {
			if i < s.clones && j < s.clones && j != i {
				next(ev("gets another's disk", -1), w.on(i, func(m *machine) { m.state, m.size = w.machines[j].state, w.machines[j].size }))
			}
		}
		if i < s.blank {
			next(ev("gets an empty disk", -1), w.on(i, func(m *machine) { m.state, m.size = protocol.State{Node: m.state.Node}, 0 }))
		}
		return
	}
	if i < s.mortal {
		next(ev("goes down", -1), w.on(i, func(m *machine) {
			left := machine{state: m.state, size: m.size}
			if s.plant.survive {
				left.open = m.open
			}
			*m = left
		}))
	}
	if m.agent {
		if m.waits != 0 { // or the agent ends, and starts again: what it knows is durable
			next(ev("waits no longer", -1), w.on(i, func(m *machine) { m.waits, m.state = 0, m.state.Restart(m.boot) }))
		}
	} else if !w.frozen || s.plant.restless && !m.owes {
		next(ev("agent starts", -1), w.on(i, func(m *machine) {
			m.agent, m.state = true, m.state.Restart(m.boot)
			m.open = opened(m.state)
		}))
	}
	for b := range w.blocks {
		switch bit := uint8(1) << b; {
		case m.used&bit != 0:
			next(ev("DEL", b), w.on(i, func(m *machine) { m.used &^= bit }))
		case m.open&bit != 0:
			next(ev("ADD", b), w.on(i, func(m *machine) { m.used |= bit }))
		}
	}
}

// opened is what host-local is to read in the state.
func opened(s protocol.State) (open uint8) {
	for _, b := range s.Blocks {
		if b.Phase == protocol.Open {
			open |= 1 << b.ID.Index
		}
	}
	return open
}

// keep makes a new state durable as the ledger does: what is closed leaves what host-local reads, the ledger is written, what is open gets there. A
// crash comes between any two of them. What was shown of the pool is durable with it.
func (w *world) keep(i int, ev event, state protocol.State, shown []protocol.Entry, next yield) *world {
	old, size := w.machines[i], w.machines[i].size
	for _, e := range shown {
		if e.Key == protocol.PoolKey() {
			size = e.Pool.Len(4)
		}
	}
	open := opened(state)
	if less := old.open & open; less != old.open {
		next(event{ev.kind + ", agent crashes before the ledger", ev.who, ev.what}, w.on(i, func(m *machine) { m.agent, m.waits, m.open = false, 0, less }))
	}
	if open&^old.open != 0 {
		next(event{ev.kind + ", agent crashes after the ledger", ev.who, ev.what},
			w.on(i, func(m *machine) { m.agent, m.waits, m.state, m.open, m.size = false, 0, state, old.open&open, size }))
	}
	return w.on(i, func(m *machine) { m.state, m.open, m.size = state, open, size })
}

// send puts the machine's request on its way, where there is room.
func (w *world) send(s scene, i int, ev event, q protocol.Request, next yield) {
	if len(w.flight) >= s.flight {
		return
	}
	c := w.clone()
	m := message{number: c.fresh(), from: i, request: s.plant.sent(q)}
	c.flight = append(c.flight, m)
	if i >= 0 {
		c.machines[i].waits = m.number
	}
	next(ev, c)
}

// agentEvents is all that an agent may do that waits for nothing. It may do it at any time: nothing here rests on what is wise.
func (w *world) agentEvents(s scene, i int, next yield) {
	m := w.machines[i]
	ev := func(kind string, what int) event { return event{kind, int8(i), int8(what)} }
	look := m.state.Look(w.record(&m).Revision != 0) // who has no record has no blocks
	shown := w.look(look)
	c := w.keep(i, ev("looks", -1), m.state.Answer(look, shown), shown.Entries, next)
	c.holdLook(i)
	next(ev("looks", -1), c)
	record := *w.record(&m)
	if q, err := m.state.Register(record); err == nil && m.state.Record == 0 && (s.plant.twins || record.Record.Dead || !w.runs(record.Record.Boot)) {
		w.send(s, i, ev("register", -1), q, next)
	}
	for b := range w.blocks {
		block, used, had := m.state.Block(id(b)), m.used>>b&1 == 1, m.had>>b&1 == 1
		if uint32(b) < m.size && (block.Phase == 0 && (!m.owes || had) || block.Phase == protocol.Wanted) {
			c := w.clone()
			if state, q, err := m.state.Claim(id(b), "nonce"+node(c.fresh())); err == nil {
				c.machines[i].state = state
				c.send(s, i, ev("claim", b), q, next)
			}
		}
		if block.Phase == protocol.Closed {
			c := w.clone()
			if q, err := m.state.Reopen(id(b), "nonce"+node(c.fresh())); err == nil && (!m.owes || had || s.plant.believes) {
				c.send(s, i, ev("re-open", b), q, next)
			}
			giver := m.state
			if s.plant.deposed {
				giver.Record = 1
			}
			if q, err := giver.GiveBack(id(b)); err == nil && !used && m.open>>b&1 == 0 && (!m.owes || !had) {
				w.send(s, i, ev("give back", b), q, next)
			}
		}
		if state, err := m.state.Close(id(b)); err == nil && !used && !m.owes {
			next(ev("close", b), w.keep(i, ev("close", b), state, nil, next))
			if q, err := state.GiveBack(id(b)); err == nil && s.plant.early {
				w.send(s, i, ev("give back", b), q, next)
			}
		}
	}
}

// holdLook holds that an agent that has looked at all knows of each block that has its name.
func (w *world) holdLook(i int) {
	for b, e := range w.blocks {
		if s := w.machines[i].state; e.Revision != 0 && e.Owner.Node == s.Node && s.Block(id(b)).Epoch != e.Revision {
			w.wrong = "an agent looked, and does not know of a block of its own"
		}
	}
}

func (w *world) messageEvents(s scene, at int, next yield) {
	m := w.flight[at]
	ev := func(kind string) event {
		return event{kind + " " + verbs[m.request.Verb], int8(m.from), block(m.request)}
	}
	waited := m.from >= 0 && w.machines[m.from].waits == m.number
	c := w.clone()
	c.flight = slices.Delete(c.flight, at, at+1)
	if !m.done {
		if !waited {
			next(ev("lost:"), c)
		}
		c = w.clone()
		c.flight[at].done, c.flight[at].reply = true, c.commit(m.request, s.plant)
		next(ev("store gets"), c)
		return
	}
	state := w.machines[m.from].state.Answer(m.request, m.reply)
	c = c.keep(m.from, ev("answered:"), state, m.reply.Entries, next)
	c.machines[m.from].waits = 0
	next(ev("answered:"), c)
}

// operatorEvents are those of one who buries machines that are down, and cuts the pool.
func (w *world) operatorEvents(s scene, next yield) {
	o := w.operator
	for i, e := range w.records {
		if e.Revision != 0 && i < s.mortal && (e.Revision != o.record.Revision || e.Key != o.record.Key) && (w.over(e) || e.Record.Dead) {
			c := w.clone()
			c.operator = operator{record: e}
			next(event{"operator looks at", int8(i), -1}, c)
		}
	}
	if q, err := protocol.BuryBoot(o.record); err == nil && w.over(o.record) {
		w.send(s, -1, event{"operator buries", -1, -1}, q, next)
	}
	for b, e := range w.blocks {
		if o.record.Record.Dead && e.Revision != o.block.Revision && e.Revision != 0 && e.Owner.Node == o.record.Key.Node {
			c := w.clone()
			c.operator.block = e
			next(event{"operator looks at", -1, int8(b)}, c)
		}
	}
	if q, err := protocol.ReclaimOf(o.record, o.block); err == nil {
		w.send(s, -1, event{"operator reclaims", -1, block(q)}, q, next)
	}
	if s.resize {
		n := len(w.blocks)
		if w.pool.Pool.Len(4) == uint32(n) {
			n--
		}
		if q, err := protocol.DefineAs(w.pool, definition(n)); err == nil {
			w.send(s, -1, event{"operator cuts or widens the pool", -1, -1}, q, next)
		}
	}
}

// over says whether the boot in the record has ended, as whoever buries knows.
func (w *world) over(e protocol.Entry) bool { return !w.runs(e.Record.Boot) }

var verbs = [...]string{"look", "register", "claim", "re-open", "give back", "bury", "reclaim", "define"}

func block(q protocol.Request) int8 {
	switch {
	case q.Put != nil && q.Put.Key.Kind == protocol.OfBlock:
		return int8(q.Put.Key.Block.Index)
	case q.Delete != nil && q.Delete.Block != (pool.ID{}):
		return int8(q.Delete.Block.Index)
	}
	return -1
}
