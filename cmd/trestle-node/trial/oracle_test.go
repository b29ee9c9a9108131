package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// oracle knows what host-local reads on each host, and so what is open twice.
type oracle struct {
	mutex  sync.Mutex
	owners map[pool.ID]map[string]bool
	opened int
	faults []string
	shows  func() // called at a fault; nil: nobody waits for one
}

// fault takes note of one. The mutex is held.
func (o *oracle) fault(text string) {
	o.faults = append(o.faults, text)
	if o.shows != nil {
		o.shows()
	}
}

// see takes note of a host's open blocks as its file has them now.
func (o *oracle) see(node, file string) {
	var has struct{ Blocks []pool.ID }
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &has)
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		o.fault(err.Error())
	}
	now := make(map[pool.ID]bool)
	for _, id := range has.Blocks {
		now[id] = true
	}
	for id, owners := range o.owners {
		if owners[node] && !now[id] {
			delete(owners, node)
		}
	}
	for id := range now {
		if o.owners[id] == nil {
			o.owners[id] = make(map[string]bool)
		}
		if o.owners[id][node] {
			continue
		}
		o.opened++
		o.owners[id][node] = true
		if len(o.owners[id]) > 1 {
			o.fault(fmt.Sprintf("block %s: open on %v", id, o.owners[id]))
		}
	}
}

// doubt is told why a host could not go on: that the store had gone back, or was another, it never is in a run.
func (o *oracle) doubt(node string, err error) {
	if fault.Code(err) != fault.NoService {
		return
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.fault(fmt.Sprintf("%s: %v", node, err))
}

// A store that shows the oracle what is open before anything is asked, and loses answers.
type shown struct {
	agent.Store
	look  func()
	plant plant
	loses float64
}

func (s *shown) Do(ctx context.Context, q protocol.Request) (protocol.Reply, error) {
	s.look()
	reply, err := s.Store.Do(ctx, s.plant.sent(q))
	if s.plant.expires && reply.Committed && q.Put != nil && q.Put.Key.Kind == protocol.OfBlock {
		go s.expire(ctx, q.Put.Key)
	}
	if err == nil && rand.Float64() < s.loses {
		return protocol.Reply{}, errors.New("the answer is lost")
	}
	return reply, err
}

// expire is the end of a key's lease, which nobody renews.
func (s *shown) expire(ctx context.Context, key protocol.Key) {
	wait(ctx, 500*time.Millisecond)
	_, _ = s.Store.Do(ctx, protocol.Request{Verb: protocol.GiveBack, Delete: &key})
}

// plant is a fault that the oracle must see.
type plant struct {
	name    string
	early   bool                                    // a block's deletion is sent before it is closed
	expires bool                                    // keys of blocks vanish
	send    func(protocol.Request) protocol.Request // what is sent instead
}

func (p plant) sent(q protocol.Request) protocol.Request {
	if p.send == nil {
		return q
	}
	return p.send(q)
}

// actor is a host that claims and gives back without reason.
type actor struct {
	name   string
	places ledger.Places
	store  *shown
	oracle *oracle
	did    map[string]int
}

// live is an agent's life after another, each on the ledger of the one before.
func (a *actor) live(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.once(ctx); err != nil && ctx.Err() == nil {
			a.did["failed"]++
			a.oracle.doubt(a.name, err)
			wait(ctx, rand.N(100*time.Millisecond))
		}
		a.oracle.see(a.name, a.places.Ranges)
	}
}

func (a *actor) once(ctx context.Context) error {
	var err error
	switch rand.N(40) {
	case 0, 1:
		err = a.reboot()
	case 2:
		err = a.reimage()
	}
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, a.places, a.name)
	if err != nil {
		return err
	}
	defer l.Close()
	h := &agent.Host{Store: a.store, Ledger: l, MaxBlocks: 3}
	if err := h.Join(ctx, rand.N(4) == 0); err != nil {
		return err
	}
	for range 10 {
		if err := a.act(ctx, h); err != nil {
			return err
		}
		a.oracle.see(a.name, a.places.Ranges)
	}
	return nil
}

func (a *actor) act(ctx context.Context, h *agent.Host) error {
	blocks := h.Ledger.State.Blocks
	switch {
	case rand.N(4) == 0:
		a.did["settled"]++
		return h.Settle(ctx)
	case len(blocks) > 0 && rand.N(2) == 0:
		id := blocks[rand.N(len(blocks))].ID
		if a.store.plant.early {
			a.early(ctx, h, id)
		}
		_, err := h.Release(ctx, id)
		a.did["released"]++
		return err
	}
	a.did["claimed"]++
	if _, err := h.Claim(ctx, 4); err != nil {
		return err
	}
	return nil
}

// early is the planted fault: the deletion is sent while the block is open, and takes a moment to be closed.
func (a *actor) early(ctx context.Context, h *agent.Host, id pool.ID) {
	if closed, err := h.Ledger.State.Close(id); err == nil {
		if q, err := closed.GiveBack(id); err == nil {
			_, _ = a.store.Do(ctx, q)
			wait(ctx, 200*time.Millisecond)
		}
	}
}

// reimage makes the host a machine with an empty disk.
func (a *actor) reimage() error {
	a.did["lost its disk"]++
	err := os.RemoveAll(filepath.Dir(a.places.Ledger))
	a.oracle.see(a.name, a.places.Ranges)
	return err
}

// reboot makes the host another boot's: its memory goes, its disk stays.
func (a *actor) reboot() error {
	a.did["rebooted"]++
	if err := os.Remove(a.places.Ranges); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	a.oracle.see(a.name, a.places.Ranges)
	content, err := ledger.Read(a.places)
	if err != nil {
		return nil // there is none yet
	}
	content.State.Boot = "the one before"
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return os.WriteFile(a.places.Ledger, text, 0o600)
}
