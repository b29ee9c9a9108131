package model

import (
	"strconv"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// restoreEvents are those of a backup that is taken at some time, and restored at some other, as docs/cluster.md says under "After a restore": agents are stopped, the
// pool is frozen, each machine that runs says again what it has, then the pool thaws, and agents start. What was under way arrives when it likes.
func (w *world) restoreEvents(s scene, next yield) {
	switch {
	case w.backup == nil:
		c := w.clone()
		c.backup = &stored{w.pool, w.records, w.blocks} // which are never changed
		next(event{"backup is taken", -1, -1}, c)
	case !w.restored:
		next(event{"backup is restored", -1, -1}, w.restoredWorld(s))
	case w.frozen:
		owed := false
		for i := range w.machines {
			owed = owed || w.machines[i].owes
			w.sayAgain(s, i, next)
		}
		if !owed || s.plant.hasty {
			c := w.clone()
			c.frozen, c.pool.Revision = false, int64(c.fresh())
			next(event{"pool thaws", -1, -1}, c)
		}
	}
}

func (w *world) restoredWorld(s scene) *world {
	c := w.clone()
	c.restored, c.frozen = true, true
	c.pool, c.records, c.blocks = w.backup.pool, w.backup.records, w.backup.blocks
	c = c.clone() // the backup stays what it is
	c.pool.Revision = int64(c.fresh())
	for i := range c.machines {
		m := &c.machines[i]
		m.agent, m.waits, m.owes = false, 0, m.up
		for _, b := range m.state.Blocks {
			if m.up && (b.Phase == protocol.Open && m.state.Boot == m.boot || s.plant.doubts) {
				m.had |= 1 << b.ID.Index
			}
		}
	}
	return c
}

// sayAgain is a machine's `reconcile --restored`, from its beginning to its end, as often as it takes.
func (w *world) sayAgain(s scene, i int, next yield) {
	m := w.machines[i]
	ev := func(kind string) event { return event{kind, int8(i), -1} }
	switch {
	case !m.up || !m.owes:
	case !m.agent:
		var had []pool.ID
		for b := range w.blocks {
			if m.had>>b&1 == 1 {
				had = append(had, id(b))
			}
		}
		c := w.clone()
		nonce := func() string { return "nonce" + strconv.Itoa(c.fresh()) }
		state := m.state.Restart(m.boot).Again(w.pool, *w.record(&m), had, nonce)
		c = c.keep(i, ev("says again"), state, []protocol.Entry{w.pool}, next)
		c.machines[i].agent = true
		next(ev("says again"), c)
	case m.waits == 0 && m.used&^m.open == 0 && m.state.Record != 0 && !w.unsaid(m):
		next(ev("has said all again"), w.on(i, func(m *machine) { m.owes, m.agent, m.had = false, false, 0 }))
	}
}

// unsaid says whether anything is left to be opened or given back.
func (w *world) unsaid(m machine) bool {
	for _, b := range m.state.Blocks {
		if b.Phase != protocol.Open {
			return true
		}
	}
	return false
}
