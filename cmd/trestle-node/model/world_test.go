package model

import (
	"slices"
	"strconv"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// A world is everything at one moment: the store, the machines, and what is under way between them.
type world struct {
	clock    int64 // of the store; and names that nobody had
	pool     protocol.Entry
	records  []protocol.Entry // by machine
	blocks   []protocol.Entry // by index
	machines []machine
	flight   []message
	operator operator
	backup   *stored // what the store was once; nil: nobody has noted it
	restored bool
	frozen   bool   // for as long as hosts say again what they have
	wrong    string // what a write did that none may do
}

// stored is what the store has.
type stored struct {
	pool            protocol.Entry
	records, blocks []protocol.Entry
}

// A machine has an agent, a disk, and memory that a reboot empties.
type machine struct {
	up, agent bool
	boot      string // of the kernel that runs; "" while it is down
	state     protocol.State
	size      uint32 // of the pool, as the agent knows it
	open      uint8  // what host-local reads: blocks by bit; on a tmpfs
	used      uint8  // blocks of which a container has an address
	waits     int    // for the answer to the message of this number; 0: for none
	owes      bool   // it has not said again what it has
	had       uint8  // blocks that it is to say again
}

// A message is a request on its way to the store, or its answer on the way back.
type message struct {
	number  int
	from    int // a machine; -1 for the operator
	request protocol.Request
	done    bool
	reply   protocol.Reply
}

// operator is what whoever buries the dead has seen.
type operator struct{ record, block protocol.Entry }

// scene is how large a world is, and what happens in it.
type scene struct {
	machines, blocks, flight int
	twice                    bool // nothing counts but a block out of which two machines hand out
	resize                   bool // the pool loses its last block, and gets it again
	mortal                   int  // how many machines may go down, the first ones; the others have registered when the scene begins
	clones                   int  // how many machines have one name, the first ones; their disks are copied
	blank                    int  // how many machines may lose their disk while they are down, the first ones
	restore                  bool // the store goes back to what it was once
	plant                    plant
}

// name is the machine's.
func (s scene) name(i int) string {
	if i < s.clones {
		i = 0
	}
	return node(i)
}

// A plant is a fault, put around the protocol from outside.
type plant struct {
	name      string
	send      func(protocol.Request) protocol.Request // what is sent instead
	stays     bool                                    // a re-opening leaves the key as it is
	oldRecord bool                                    // a dead host's record is good for a reclaim whatever it says now
	early     bool                                    // a deletion is sent before the block is closed
	expires   bool                                    // keys of blocks vanish
	survive   bool                                    // what host-local reads outlives the machine
	deposed   bool                                    // a block is given back by one who does not stand in the record
	twins     bool                                    // a second machine of a name is let in while the first runs
	hasty     bool                                    // the pool thaws before all have said again what they have
	restless  bool                                    // agents start while it is frozen
	believes  bool                                    // what the backup has under a host's name is opened
	doubts    bool                                    // what was in doubt is said again, too
}

func definition(blocks int) pool.Definition {
	d := pool.Definition{BlockSize: pool.Sizes{IPv4: 30}, Shape: pool.Routed}
	for i := range blocks {
		d.CIDRs = append(d.CIDRs, prefixes[i])
	}
	return d
}

func id(i int) pool.ID { return pool.ID{Family: 4, Index: uint32(i)} }

func node(i int) string { return strconv.Itoa(i) }

func begin(s scene) *world {
	w := &world{clock: 1, pool: protocol.Entry{Key: protocol.PoolKey(), Revision: 1, Pool: definition(s.blocks)}}
	for i := range s.machines {
		w.records = append(w.records, protocol.Entry{Key: protocol.NodeKey(node(i))})
		w.machines = append(w.machines, machine{state: protocol.State{Node: s.name(i)}})
		if i >= s.mortal {
			w.settleIn(i)
		}
	}
	for i := range s.blocks {
		w.blocks = append(w.blocks, protocol.Entry{Key: protocol.BlockKey(id(i))})
	}
	return w
}

// settleIn lets a machine start, look and register.
func (w *world) settleIn(i int) {
	m := &w.machines[i]
	m.up, m.agent, m.boot, m.size = true, true, "boot"+node(w.fresh()), w.pool.Pool.Len(4)
	look := m.state.Restart(m.boot).Look(true)
	m.state = m.state.Restart(m.boot).Answer(look, w.look(look))
	q, _ := m.state.Register(*w.record(m))
	m.state = m.state.Answer(q, w.commit(q, plant{}))
}

// record is the one of the machine's name.
func (w *world) record(m *machine) *protocol.Entry { return w.entry(protocol.NodeKey(m.state.Node)) }

// runs says whether a machine runs under that boot.
func (w *world) runs(boot string) bool {
	return boot != "" && slices.ContainsFunc(w.machines, func(m machine) bool { return m.boot == boot })
}

// clone is a copy that may be changed; states and requests never are.
func (w *world) clone() *world {
	c := *w
	c.records = append([]protocol.Entry(nil), w.records...)
	c.blocks = append([]protocol.Entry(nil), w.blocks...)
	c.machines = append([]machine(nil), w.machines...)
	c.flight = append(make([]message, 0, len(w.flight)+1), w.flight...)
	return &c
}

// fresh is a number that nothing has.
func (w *world) fresh() int {
	w.clock++
	return int(w.clock)
}

// entry is where the store has the key.
func (w *world) entry(key protocol.Key) *protocol.Entry {
	switch key.Kind {
	case protocol.OfPool:
		return &w.pool
	case protocol.OfNode:
		i, _ := strconv.Atoi(key.Node)
		return &w.records[i]
	}
	return &w.blocks[key.Block.Index]
}

func (w *world) holds(c protocol.Compare) bool {
	if c.Last == (pool.ID{}) {
		return w.entry(c.Key).Revision == c.Revision
	}
	for i := c.Key.Block.Index; i <= c.Last.Index; i++ {
		if w.blocks[i].Revision != c.Revision {
			return false
		}
	}
	return true
}

// commit does what is asked, or answers what it saw.
func (w *world) commit(q protocol.Request, p plant) protocol.Reply {
	for _, c := range q.If {
		if !w.holds(c) {
			return w.refuse(q)
		}
	}
	if p.stays && q.Verb == protocol.Reopen {
		return protocol.Reply{Committed: true, Revision: w.entry(q.Put.Key).Revision}
	}
	revision := int64(w.fresh())
	switch {
	case q.Put != nil:
		e := *q.Put
		e.Revision = revision
		*w.entry(e.Key) = e
		w.holdDead(e)
	case q.Delete != nil:
		*w.entry(*q.Delete) = protocol.Entry{Key: *q.Delete}
	}
	return protocol.Reply{Committed: true, Revision: revision}
}

func (w *world) refuse(q protocol.Request) (r protocol.Reply) {
	for _, c := range q.If {
		if c.Last == (pool.ID{}) {
			r.Entries = append(r.Entries, *w.entry(c.Key))
		}
	}
	return r
}

func (w *world) look(q protocol.Request) (r protocol.Reply) {
	for _, key := range q.Read {
		r.Entries = append(r.Entries, *w.entry(key))
	}
	for _, e := range w.blocks {
		if q.All && e.Revision != 0 {
			r.Entries = append(r.Entries, e)
		}
	}
	return r
}

// holdDead notes a write that gives the dead something: it would be there for ever, since they have been buried.
func (w *world) holdDead(e protocol.Entry) {
	if e.Key.Kind == protocol.OfBlock && w.entry(protocol.NodeKey(e.Owner.Node)).Record.Dead {
		w.wrong = "a dead node is given a block"
	}
}

// fault is what no world may have.
func (w *world) fault(s scene) string {
	for b, e := range w.blocks {
		holders := 0
		for _, m := range w.machines {
			if (m.open|m.used)>>b&1 == 0 {
				continue
			}
			holders++
			known := m.state.Block(id(b))
			if m.open>>b&1 == 1 && (e.Owner.Node != m.state.Node || e.Revision != known.Epoch) && w.wrong == "" && (m.agent || !m.owes) {
				w.wrong = "a block is open whose key does not say so"
			}
		}
		if holders > 1 {
			return "two machines hand out of one block"
		}
		if s.twice {
			w.wrong = ""
			continue
		}
		if e.Revision != 0 && b >= int(w.pool.Pool.Len(4)) {
			return "a block outside of the pool has an owner"
		}
	}
	return w.wrong
}
