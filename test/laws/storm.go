package laws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// Storm is what a busy runtime that crashes now and then does to a host: random calls of ADD, DEL, CHECK and GC from eight workers, and SIGKILL in
// the middle of some. As a runtime must (CNI specification 1.1.0, "Lifecycle & Ordering"), it has one call at a time for a container, and a GC
// by itself. Every call ends as its container's state says: an ADD of what is there already is refused, all others succeed. When all has gone, nothing
// is left.
type Storm struct {
	*World
	Calls int           // how many
	Long  time.Duration // no call is killed later than that after its start
	Seed  uint64

	exclusive sync.RWMutex // held alone by a GC
	idle      chan *actor
	actors    []*actor
}

// actor is a container as the runtime knows it.
type actor struct {
	Container
	state  state
	result []byte // of its ADD
}

type state int

const (
	absent state = iota
	added
	unknown // a call was killed
)

const (
	workers    = 8
	containers = 24
)

// Run carries out the calls.
func (s *Storm) Run() error {
	k, err := s.references()
	if err != nil {
		return err
	}
	s.idle = make(chan *actor, containers)
	for n := range containers {
		a := &actor{Container: s.container(n + 2)}
		s.actors = append(s.actors, a)
		s.idle <- a
	}
	k.swept = s.snapshot()
	var left atomic.Int64
	left.Store(int64(s.Calls))
	errs := make(chan error, workers)
	for n := range workers {
		go func() {
			draw := rand.New(rand.NewPCG(s.Seed, uint64(n)))
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = s.step(draw)
			}
			errs <- err
		}()
	}
	var all []error
	for range workers {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	return s.end(k.swept)
}

// end deletes what is there, and collects the ground.
func (s *Storm) end(swept string) error {
	for _, a := range s.actors {
		if err := s.del(s.process, call{of: a.Container, prev: a.result}); err != nil {
			return err
		}
	}
	if err := s.gc(); err != nil {
		return err
	}
	if diff := snapshot.Diff(swept, s.snapshot()); diff != "" {
		return fmt.Errorf("after %d calls (seed %d), and a DEL of all, there is left:\n%s", s.Calls, s.Seed, diff)
	}
	return nil
}

// step is one call, or rather one of each plugin of the chain.
func (s *Storm) step(draw *rand.Rand) error {
	if draw.IntN(100) == 0 {
		return s.collect(draw)
	}
	a := <-s.idle
	s.exclusive.RLock()
	err := s.act(a, draw)
	s.exclusive.RUnlock()
	s.idle <- a
	return err
}

func (s *Storm) act(a *actor, draw *rand.Rand) error {
	chance := draw.IntN(10)
	switch {
	case a.state == unknown:
		return s.remove(a, s.process, chance < 5)
	case a.state == absent && chance == 0: // never added, or again
		return s.remove(a, s.process, true)
	case a.state == absent && chance < 3:
		return s.bring(a, s.deadly(draw))
	case a.state == absent:
		return s.bring(a, s.process)
	case chance < 2:
		return s.refused(a)
	case chance < 4:
		return s.all(s.process, call{verb: "CHECK", of: a.Container, prev: a.result})
	case chance < 6:
		return s.remove(a, s.deadly(draw), false)
	}
	return s.remove(a, s.process, chance == 6)
}

func (s *Storm) bring(a *actor, run runner) error {
	result, err := s.add(run, a.Container)
	a.state, a.result = added, result
	return s.survived(a, err)
}

func (s *Storm) remove(a *actor, run runner, bare bool) error {
	c := call{of: a.Container, prev: a.result, bare: bare}
	if bare {
		c.prev = nil
	}
	err := s.del(run, c)
	a.state = absent
	if err == nil {
		a.result = nil
	}
	return s.survived(a, err)
}

// struck says whether the call was killed, or would have been, had it begun in time.
func struck(err error) bool { return wasKilled(err) || errors.Is(err, context.DeadlineExceeded) }

// survived takes a kill for what it is.
func (s *Storm) survived(a *actor, err error) error {
	if struck(err) {
		a.state = unknown
		return nil
	}
	return err
}

// refused adds what is there.
func (s *Storm) refused(a *actor) error {
	_, err := s.add(s.process, a.Container)
	if f := new(Failure); !errors.As(err, &f) || f.Code != fault.Taken {
		return fmt.Errorf("a second ADD of %s: %v, want code %d", a.ID, err, fault.Taken)
	}
	return nil
}

// deadly returns a runner that kills the call at a time that chance chooses.
func (s *Storm) deadly(draw *rand.Rand) runner {
	return func(c call) ([]byte, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(draw.Int64N(int64(s.Long))))
		defer cancel()
		cmd := s.built(c)
		mortal := exec.CommandContext(ctx, cmd.Path)
		return s.asProcess(c, mortal)
	}
}

// collect is a GC, which may be killed, and then comes again. What was killed is none of the runtime's.
func (s *Storm) collect(draw *rand.Rand) error {
	s.exclusive.Lock()
	defer s.exclusive.Unlock()
	valid := []attachment{}
	for _, a := range s.actors {
		if a.state == added {
			valid = append(valid, attachment{a.ID, ifName})
		}
	}
	c := call{verb: "GC", valid: valid}
	if err := s.all(s.deadly(draw), c); err != nil && !struck(err) {
		return err
	}
	if err := s.all(s.process, c); err != nil {
		return err
	}
	for _, a := range s.actors {
		if a.state == unknown {
			a.state, a.result = absent, nil
		}
	}
	return nil
}
