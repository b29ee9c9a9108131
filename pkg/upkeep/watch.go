// Package upkeep makes again what others sweep away of the rules of living containers, when the kernel says that it went. It waits for nothing but that word:
// the transactions of nf_tables, the changes of links, and the signals of firewalld.
//
// What was there is known from the kernel's own messages (nft.Keeper), so that all of it is put back in a few transactions. What that cannot know (iptables, links,
// addresses, zones of firewalld) is made again by the repair that is given, which asks the plugins.
package upkeep

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall/iptables"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Options say what is watched, and for whom.
type Options struct {
	Run   string   // the directory of the locks
	Names []string // the programs whose changes are meant: the plugins and the tool

	Results string // the directory in which runtimes remember their ADDs
	// Repair asks the plugins of every attachment, but for what is left as it is. nil: who watches may not enter containers, and what plugins alone can make is named.
	Repair func(ctx context.Context, left []string) error
	Say    func(string) // a line for the operator
	Ready  func()       // from now on nothing is missed; nil: nobody wants to know
	Stir   func()       // the kernel said something, or something is made again; nil: nobody wants to know

	Patience time.Duration // for which what somebody deletes on purpose is left alone at first; 0: a minute
}

// watch is one that runs.
type watch struct {
	Options
	filter *nft.Filter
	keeper *nft.Keeper
	tables *iptables.Keeper
	swept  chan nft.Told
	lost   chan error    // the reader's: events were lost (nlsocket.ErrLost), or it ended
	learn  chan struct{} // ours were at work in tables of iptables
	mend   chan string
	come   chan struct{} // a link of ours is new
	paused chan struct{} // a rest began or ended
	later  sync.WaitGroup

	mu      sync.Mutex
	habits  habits
	awaited map[owner.ID]bool  // somebody is at work on these, and they are looked after when he is done
	mending context.CancelFunc // ends the repair that is at work; nil: none is

	healed  time.Time // when the last one began
	owed    []nft.Told
	more    bool // than is owed
	drops   bool // iptables' FORWARD drops what it does not know, as it was seen last
	open    unfinished
	resting bool
	due     *time.Timer

	unheard []owner.ID // who has rules in iptables-legacy, as it was looked last
}

// apart is how long after one whole flush the next is mended at the earliest.
const apart = 50 * time.Millisecond

// Run watches the network namespace of the process until the context ends.
func Run(ctx context.Context, o Options) error {
	w := &watch{Options: o, filter: nft.Open().Remember(o.Run), habits: make(habits), awaited: make(map[owner.ID]bool), swept: make(chan nft.Told, 256),
		lost: make(chan error, 1), mend: make(chan string, 1), come: make(chan struct{}, 1), learn: make(chan struct{}, 1), paused: make(chan struct{}, 1), due: time.NewTimer(time.Hour)}
	if w.due.Stop(); w.Stir == nil {
		w.Stir = func() {}
	}
	w.keeper = nft.Keep(w.filter)
	defer w.close()
	alone, err := only(o.Run)
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := gone.Begin(o.Run); err != nil {
		return err
	}
	defer func() { _ = gone.End(o.Run) }()
	ctx, stop := context.WithCancel(ctx)
	defer w.later.Wait()
	defer stop()
	if err := w.begin(ctx); err != nil {
		return err
	}
	return w.loop(ctx)
}

// begin subscribes, looks what there is, and then has all that is missing made.
func (w *watch) begin(ctx context.Context) error {
	events, err := nft.Listen()
	if err != nil {
		return fmt.Errorf("nf_tables: %w", err)
	}
	context.AfterFunc(ctx, events.Close)
	if w.tables, err = iptables.Keep(w.Run); err != nil {
		return fmt.Errorf("nf_tables: %w", err)
	}
	w.filter.Leave(w.leaves)
	pauses, err := w.awaitPauses(ctx)
	if err != nil {
		return err
	}
	changes, links, err := w.awaitLinks(ctx)
	if err != nil {
		return err
	}
	if _, err := w.keeper.Look(ctx); err != nil {
		return err
	}
	if err := w.doubt(ctx); err != nil {
		return err
	}
	w.later.Go(func() { w.read(ctx, events) })
	w.later.Go(func() { w.awaitPause(pauses) })
	w.later.Go(func() { w.readLinks(ctx, changes, links) })
	w.later.Go(func() { w.repairs(ctx) })
	w.say("watches the rules of %d attachments", len(w.keeper.Owners()))
	w.rests(time.Now()) // one that began before has its end
	if w.Ready != nil {
		w.Ready()
	}
	w.ask("the watch begins")
	return nil
}

// doubt forgets those on whom somebody is at work: a DEL that began before us does not say so. What there is then of them is looked at when he is done.
func (w *watch) doubt(ctx context.Context) error {
	a, err := admit(w.Run)
	if err != nil {
		return err
	}
	defer a.end()
	for _, id := range w.keeper.Owners() {
		a.admits(id, false)
	}
	for _, id := range a.busy {
		w.keeper.DropOwner(id)
		w.later.Go(func() {
			if held, err := admit(w.Run); err == nil && held.wait(ctx, id) == nil {
				_, _ = w.keeper.Look(ctx) // who cannot look now is told of the next change
				held.end()
			}
		})
	}
	return nil
}

// take takes in one transaction.
func (w *watch) take(ctx context.Context, t *nft.Told) error {
	ours := slices.Contains(w.Names, t.Name) || t.Signed
	swept, err := w.keeper.Take(t, ours)
	change := iptables.Change{Ours: t.Signed, Swept: !ours && t.Compat(), Generation: t.Generation}
	if t.Signed {
		change.Gone = t.Chains()
	}
	w.tables.Take(change)
	if t.Forwarded = w.keeper.Forwarded(t); swept || !ours && (t.Forwarded || t.Compat()) {
		select {
		case w.swept <- *t:
		case <-ctx.Done():
		}
	}
	if t.Signed {
		w.learns()
	}
	return err
}

func (w *watch) loop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-w.swept:
			w.owe(t)
			w.settle(ctx)
		case <-w.due.C:
			w.settle(ctx)
		case <-w.paused:
			w.rest(ctx)
		case <-w.learn:
			if err := w.learnTables(ctx); err != nil && ctx.Err() == nil {
				w.say("what iptables has is not known: %v", err)
			}
		case err := <-w.lost:
			if err := w.again(ctx, err); err != nil {
				return err
			}
		}
	}
}

// rests says whether somebody asked for a rest, and sees to its end.
func (w *watch) rests(now time.Time) bool {
	p := Paused(w.Run, now)
	if p != nil && !p.Until.IsZero() {
		w.due.Reset(time.Until(p.Until))
	}
	if ended := w.resting && p == nil; ended {
		w.forgive()
		w.say("goes on after a rest")
		w.ask("the rest is over")
	} else if p != nil && !w.resting {
		w.say("rests: %s", p)
	}
	w.resting = p != nil
	return w.resting
}

// rest begins a rest, or makes again what went in one, and what was left alone.
func (w *watch) rest(ctx context.Context) {
	if !w.rests(time.Now()) {
		w.forgive()
		w.settle(ctx)
	}
}

// forgive has what was left alone made again.
func (w *watch) forgive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.habits.forgive()
}

// settle makes again what is owed, now or when it is time.
func (w *watch) settle(ctx context.Context) {
	now := time.Now()
	for more := true; more; { // what came at once is one
		select {
		case t := <-w.swept:
			w.owe(t)
		default:
			more = false
		}
	}
	if w.rests(now) {
		return
	}
	if wait := apart - now.Sub(w.healed); wait > 0 {
		w.due.Reset(wait)
		return
	}
	w.Stir()
	w.healed = now
	causes := w.owed
	w.owed = nil
	w.heal(ctx, causes, now)
	debug.FreeOSMemory() // what a heal takes is not kept for the next
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := w.habits.next(time.Now()); w.more {
		w.due.Reset(apart)
	} else if !at.IsZero() {
		w.due.Reset(time.Until(at))
	}
}

func (w *watch) say(format string, args ...any) { w.Say(fmt.Sprintf(format, args...)) }
