package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/ipam"
)

// A replay lets real hosts, with real ledgers, live on the model's store, and holds what they ask and keep against what the model's may: so the two cannot drift apart.
type replay struct {
	t     *testing.T
	dice  *rand.Rand
	w     *world
	hosts []*real
	late  []protocol.Request // that nobody waits for, and that may be done yet
	did   map[protocol.Verb]int
}

// real is one of them. It is the agent's store, too.
type real struct {
	*replay
	index  int
	places ledger.Places
	next   *protocol.State // what the last answer leads to; nil: the agent began anew
}

func newReplay(t *testing.T, seed uint64, hosts, blocks int) *replay {
	t.Helper()
	r := &replay{t: t, dice: rand.New(rand.NewPCG(seed, 0)), w: begin(scene{machines: hosts, blocks: blocks, mortal: hosts}), did: make(map[protocol.Verb]int)}
	dir, err := os.MkdirTemp("/dev/shm", "model")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for i := range hosts {
		own := filepath.Join(dir, node(i))
		r.hosts = append(r.hosts, &real{replay: r, index: i, places: ledger.Places{Network: "pods", Ledger: own + "/disk.json", Ranges: own + "/ranges.json", Data: own + "/books"}})
	}
	return r
}

// machine is the host as its files are at this moment.
func (h *real) machine() machine {
	content, err := ledger.Read(h.places)
	if err != nil {
		h.t.Fatal(err)
	}
	m := machine{up: true, agent: true, boot: content.State.Boot, state: content.State, size: content.Pool.Len(4)}
	var has struct{ Blocks []pool.ID }
	text, err := os.ReadFile(h.places.Ranges)
	if err = errors.Join(err, json.Unmarshal(text, &has)); err != nil {
		h.t.Fatal(err)
	}
	for _, id := range has.Blocks {
		m.open |= 1 << id.Index
	}
	for _, addr := range h.reserved() {
		if id, ok := definition(len(h.w.blocks)).Find(addr); ok {
			m.used |= 1 << id.Index
		}
	}
	return m
}

func (h *real) reserved() (all []netip.Addr) {
	files, _ := os.ReadDir(filepath.Join(h.places.Data, h.places.Network))
	for _, file := range files {
		if addr, err := netip.ParseAddr(file.Name()); err == nil {
			all = append(all, addr)
		}
	}
	return all
}

// may says whether the model's machine, being as this one is, may ask this.
func (h *real) may(q protocol.Request) error {
	m := h.machine()
	if m.open&^opened(m.state) != 0 {
		return fmt.Errorf("host-local reads %b, and the ledger calls open %b", m.open, opened(m.state))
	}
	c := h.w.clone()
	c.machines[h.index], c.flight = m, nil
	found := q.Verb == protocol.Look
	c.agentEvents(scene{machines: len(c.machines), blocks: len(c.blocks), flight: 1}, h.index, func(_ event, next *world) {
		for _, sent := range next.flight {
			found = found || reflect.DeepEqual(nameless(sent.request), nameless(q))
		}
	})
	if !found {
		return fmt.Errorf("asks %+v in the state %+v: the model's would not", q, m.state)
	}
	return nil
}

// nameless is the request without what is made up: a nonce; where the host is reached is no matter of the protocol's.
func nameless(q protocol.Request) protocol.Request {
	if q.Put != nil {
		put := *q.Put
		put.Owner.Nonce = ""
		q.Put = &put
	}
	return q
}

// kept says whether what is on disk follows from the last answer: beside that a host may want a block, and close one.
func (h *real) kept() error {
	if h.next == nil {
		return nil
	}
	now := h.machine().state
	want := *h.next
	for _, b := range now.Blocks {
		was := want.Block(b.ID)
		switch {
		case was == b:
		case was.Phase == 0 && b.Phase == protocol.Wanted, was.Phase == protocol.Open && b.Phase == protocol.Closed && was.Epoch == b.Epoch:
		default:
			return fmt.Errorf("has %+v, after an answer that leads to %+v", b, was)
		}
	}
	for _, was := range want.Blocks {
		if now.Block(was.ID).Phase == 0 {
			return fmt.Errorf("has forgotten %+v", was)
		}
	}
	if now.Record != want.Record || now.Pool != want.Pool {
		return fmt.Errorf("has record %d and pool %d, after an answer that leads to %d and %d", now.Record, now.Pool, want.Record, want.Pool)
	}
	return nil
}

var errSilence = errors.New("nobody answers")

// Do is done, or is done late, or never; and is answered, or not.
func (h *real) Do(_ context.Context, q protocol.Request) (protocol.Reply, error) {
	if err := errors.Join(h.may(q), h.kept()); err != nil {
		h.t.Fatalf("host %d: %v", h.index, err)
	}
	h.did[q.Verb]++
	h.next = nil
	if h.dice.IntN(10) == 0 {
		h.late = append(h.late, q)
		return protocol.Reply{}, errSilence
	}
	var reply protocol.Reply
	if q.Verb == protocol.Look {
		reply = h.w.look(q)
	} else {
		reply = h.w.commit(q, plant{})
	}
	if h.dice.IntN(10) == 0 {
		return protocol.Reply{}, errSilence
	}
	next := h.machine().state.Answer(q, reply)
	h.next = &next
	reply.Mark = protocol.Mark{Cluster: 1, Latest: h.w.clock}
	return reply, nil
}

// Alive is nobody: there is one machine of each name.
func (h *real) Alive(context.Context, string) (string, error) { return "", nil }

// once is a life of the host's agent, which ends when the store does not answer.
func (h *real) once() {
	ctx := context.Background()
	l, err := ledger.Open(ctx, h.places, node(h.index))
	if err != nil {
		h.t.Fatal(err)
	}
	defer l.Close()
	h.next = nil
	a := &agent.Host{Store: h, Ledger: l, MaxBlocks: len(h.w.blocks)}
	err = a.Join(ctx, h.dice.IntN(2) == 0)
	for range 12 {
		if err != nil && !errors.Is(err, errSilence) && l.State.Record == 0 {
			h.t.Fatalf("host %d: %v", h.index, err)
		}
		if errors.Is(err, errSilence) {
			return
		}
		h.land()
		err = h.act(ctx, a)
	}
}

// land has one of the late requests done, if any.
func (r *replay) land() {
	if len(r.late) > 0 && r.dice.IntN(2) == 0 {
		i := r.dice.IntN(len(r.late))
		r.w.commit(r.late[i], plant{})
		r.late = slices.Delete(r.late, i, i+1)
	}
}

// act does one of the things that agents and runtimes do.
func (h *real) act(ctx context.Context, a *agent.Host) error {
	blocks := a.Ledger.State.Blocks
	switch h.dice.IntN(6) {
	case 0:
		return a.Settle(ctx)
	case 1:
		return a.Join(ctx, h.dice.IntN(2) == 0)
	case 2:
		h.add(ctx, a.Ledger)
	case 3:
		for _, addr := range h.reserved() {
			return os.Remove(filepath.Join(h.places.Data, h.places.Network, addr.String()))
		}
	case 4:
		if len(blocks) > 0 {
			_, err := a.Release(ctx, blocks[h.dice.IntN(len(blocks))].ID)
			return err
		}
	default:
		_, err := a.Claim(ctx, 4)
		return err
	}
	return nil
}

// add reserves an address of an open block, as host-local does.
func (h *real) add(ctx context.Context, l *ledger.Ledger) {
	books, err := ipam.Open(ctx, h.places.Data, h.places.Network, true)
	if err != nil {
		h.t.Fatal(err)
	}
	defer books.Close()
	for _, id := range l.State.Opened() {
		prefix, _ := l.Pool.Prefix(id)
		_, _ = books.Allocate(0, ipam.Set{ipam.Whole(prefix)}, netip.Addr{}, ipam.Attachment{Holder: ipam.Holder{ContainerID: id.String()[2:], IfName: "eth0"}})
	}
}

// reboot makes the host another boot's: its memory goes, its disk stays, and its containers are gone.
func (h *real) reboot() {
	content, err := ledger.Read(h.places)
	if err != nil {
		return // there is none yet
	}
	content.State.Boot = "the one before"
	text, err := json.Marshal(content)
	if err = errors.Join(err, os.RemoveAll(h.places.Ranges), os.RemoveAll(h.places.Data), os.WriteFile(h.places.Ledger, text, 0o600)); err != nil {
		h.t.Fatal(err)
	}
}

// blank makes it a machine with an empty disk.
func (h *real) blank() {
	if err := os.RemoveAll(filepath.Dir(h.places.Ledger)); err != nil {
		h.t.Fatal(err)
	}
}

// What real hosts ask of the store, and keep of its answers, the model's may; and no two of them hand out of one block.
func TestAgentsDoWhatTheModelMay(t *testing.T) {
	did := make(map[protocol.Verb]int)
	for seed := range uint64(20) {
		r := newReplay(t, seed, 3, 3)
		for range 40 {
			h := r.hosts[r.dice.IntN(len(r.hosts))]
			switch r.dice.IntN(16) {
			case 0, 1:
				h.reboot()
			case 2:
				h.blank()
			}
			h.once()
			for i, other := range r.hosts {
				if _, err := os.Stat(other.places.Ranges); err == nil {
					r.w.machines[i] = other.machine()
				}
			}
			if wrong := r.w.fault(scene{}); wrong != "" {
				t.Fatalf("seed %d: %s: %+v", seed, wrong, r.w.machines)
			}
		}
		for verb, n := range r.did {
			did[verb] += n
		}
	}
	for _, verb := range []protocol.Verb{protocol.Look, protocol.Register, protocol.Claim, protocol.Reopen, protocol.GiveBack} {
		if did[verb] < 20 {
			t.Errorf("%s: only %d times", verbs[verb], did[verb])
		}
	}
}

// A drift would show: what is left out of a request, or asked in another state, is none of the model's.
func TestDriftShows(t *testing.T) {
	r := newReplay(t, 1, 1, 2)
	h := r.hosts[0]
	ctx := context.Background()
	l, err := ledger.Open(ctx, h.places, node(0))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	content := l.Content
	content.Pool, content.State.Pool, content.State.Record = definition(2), 1, 7
	content.State.Blocks = []protocol.Block{{ID: id(0), Phase: protocol.Open, Epoch: 8}, {ID: id(1), Phase: protocol.Closed, Epoch: 9}}
	if err := l.Keep(ctx, content); err != nil {
		t.Fatal(err)
	}
	back, err := l.State.GiveBack(id(1))
	if err != nil {
		t.Fatal(err)
	}
	open, err := l.State.Reopen(id(1), "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.may(back), h.may(open)); err != nil {
		t.Error(err)
	}
	for name, q := range map[string]protocol.Request{
		"a give-back without the block":   without(protocol.GiveBack, protocol.OfBlock)(back),
		"a re-opening without the record": without(protocol.Reopen, protocol.OfNode)(open),
		"a re-opening without the block":  without(protocol.Reopen, protocol.OfBlock)(open),
		"a give-back of an open block":    {Verb: protocol.GiveBack, If: []protocol.Compare{{Key: protocol.BlockKey(id(0)), Revision: 8}}, Delete: &protocol.Key{Kind: protocol.OfBlock, Block: id(0)}},
		"a burial of itself":              {Verb: protocol.Bury, If: open.If[:1], Put: &protocol.Entry{Key: protocol.NodeKey(node(0)), Record: protocol.Record{Dead: true}}},
	} {
		if h.may(q) == nil {
			t.Errorf("%s: is taken for one of the model's", name)
		}
	}
	next := l.State
	h.next = &next
	for name, change := range map[string]func(s *protocol.State){
		"a block that opens by itself": func(s *protocol.State) { s.Blocks[1].Phase = protocol.Open },
		"a block that is forgotten":    func(s *protocol.State) { s.Blocks = s.Blocks[:1] },
		"an epoch of nobody's":         func(s *protocol.State) { s.Blocks[0].Epoch++ },
		"a record of nobody's":         func(s *protocol.State) { s.Record++ },
	} {
		content.State.Blocks = slices.Clone(next.Blocks)
		content.State.Record = next.Record
		change(&content.State)
		if err := l.Keep(ctx, content); err != nil {
			t.Fatal(err)
		}
		if h.kept() == nil {
			t.Errorf("%s: is taken for what follows", name)
		}
	}
}
