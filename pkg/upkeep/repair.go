package upkeep

import (
	"context"
	"sync/atomic"
	"time"

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
	var hears atomic.Bool // whether firewalld's signals come
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
			if Paused(w.Run, time.Now()) == nil {
				w.repair(ctx, why)
			}
		}
	}
}

func (w *watch) repair(ctx context.Context, why string) {
	gone.Prune(w.Run)
	w.say("asks the plugins of all attachments: %s", why)
	w.mu.Lock()
	left := w.habits.left(time.Now())
	w.mu.Unlock()
	if err := w.Repair(ctx, left); err != nil && ctx.Err() == nil {
		w.say("repair, because %s: %v", why, err)
	}
	w.learns()
}
