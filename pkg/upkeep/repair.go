package upkeep

import (
	"context"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// ask has the plugins asked. What is asked for meanwhile is one more.
func (w *watch) ask(why string) {
	select {
	case w.mend <- why:
	default:
	}
}

// repairs asks the plugins, one time after the other.
func (w *watch) repairs(ctx context.Context) {
	var hears atomic.Bool  // whether firewalld's signals come
	var asked time.Time    // when the plugins were asked last
	var wait time.Duration // until it is looked who has come since
	later := time.NewTimer(time.Hour)
	later.Stop()
	for {
		if hears.CompareAndSwap(false, true) {
			w.later.Go(func() {
				defer hears.Store(false)
				w.awaitFirewalld(ctx)
			})
		}
		select {
		case <-ctx.Done():
			return
		case why := <-w.mend:
			wait = apart
			if asked = time.Now(); Paused(w.Run, asked) == nil {
				w.repair(ctx, why)
			}
		case <-w.come:
			if w.torn(ctx) && Paused(w.Run, time.Now()) == nil {
				w.ask("iptables-legacy has less than was made")
			}
			continue
		case <-later.C:
			if at := time.Now(); w.Repair != nil && w.hasCome(asked) && Paused(w.Run, at) == nil {
				asked = at
				w.repair(ctx, "a container has come, whose ADD was at work when the others were asked")
			}
		}
		if wait *= 8; wait < deadline.Call/2 { // three times in all: each is a wake-up
			later.Reset(wait)
		}
	}
}

// hasCome says whether a runtime has written a result since: the plugins are asked of whom there is one, and an ADD that was at work when something went may have lost it.
func (w *watch) hasCome(since time.Time) bool {
	results, err := os.ReadDir(w.Results)
	return err == nil && slices.ContainsFunc(results, func(e os.DirEntry) bool {
		info, err := e.Info()
		return err == nil && info.ModTime().After(since.Add(-tick))
	})
}

// tick is how long the clock of files stands still at the most: a hundredth of a second (CONFIG_HZ).
const tick = 10 * time.Millisecond

// comes has it looked whether something went of which nobody tells.
func (w *watch) comes() {
	select {
	case w.come <- struct{}{}:
	default: // one look is enough
	}
}

// torn says whether something of ours went of iptables-legacy, and says that there is something, when it is new.
func (w *watch) torn(ctx context.Context) bool {
	owners, torn := w.tables.Unheard(ctx)
	if len(owners) > 0 && len(w.unheard) == 0 {
		w.say("iptables-legacy has rules of ours, and the kernel tells nobody who changes it: they are made again for firewalld's or rtnetlink's word, at the next ADD, and by trestle repair")
	}
	torn = torn || slices.ContainsFunc(w.unheard, func(id owner.ID) bool { return !slices.Contains(owners, id) && !gone.Is(w.Run, id) })
	w.unheard = owners
	return torn
}

func (w *watch) repair(ctx context.Context, why string) {
	gone.Prune(w.Run)
	if w.Repair != nil {
		w.say("asks the plugins of all attachments: %s", why)
		w.askAll(ctx, why)
	} else {
		w.say("what plugins alone can make is not looked at (trestle repair does): %s", why)
	}
	w.torn(ctx)
	w.learns()
}

func (w *watch) askAll(ctx context.Context, why string) {
	repair, stop := context.WithCancel(ctx)
	defer stop()
	w.mu.Lock()
	left := w.habits.left(time.Now())
	w.mending = stop
	w.mu.Unlock()
	err := w.Repair(repair, left)
	switch {
	case ctx.Err() != nil:
	case repair.Err() != nil: // more is left alone now
		w.ask(why)
	case err != nil:
		w.say("repair, because %s: %v", why, err)
	}
}

// mislead ends a repair that is at work: something is left alone of which it was not told.
func (w *watch) mislead() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mending != nil {
		w.mending()
	}
}
