package upkeep

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/gone"
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
		case <-later.C:
			if at := time.Now(); w.hasCome(asked) && Paused(w.Run, at) == nil {
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
	info, err := os.Stat(w.Results)
	return err == nil && info.ModTime().After(since.Add(-apart)) // the clock of files ticks slowly
}

func (w *watch) repair(ctx context.Context, why string) {
	gone.Prune(w.Run)
	w.say("asks the plugins of all attachments: %s", why)
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
	w.learns()
}

// mislead ends a repair that is at work: something is left alone of which it was not told.
func (w *watch) mislead() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mending != nil {
		w.mending()
	}
}
