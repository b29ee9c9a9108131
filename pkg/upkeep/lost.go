package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/kernel/nlsocket"
)

// read takes in what the kernel tells of nf_tables.
func (w *watch) read(ctx context.Context, events *nlsocket.Events) {
	reader := nft.NewReader()
	for ctx.Err() == nil {
		err := events.Next(func(m nlsocket.Message) {
			w.Stir()
			t, err := reader.Next(m)
			if err == nil && t != nil {
				err = w.take(ctx, t)
			}
			if err != nil {
				w.lose(ctx, fmt.Errorf("%w: %w", nlsocket.ErrLost, err))
			}
		})
		switch {
		case errors.Is(err, nlsocket.ErrLost):
			reader = nft.NewReader()
			w.lose(ctx, err)
		case err != nil:
			w.lose(ctx, err)
			return
		}
	}
}

// lose says that something may have been missed, or that nothing is told any more.
func (w *watch) lose(ctx context.Context, err error) {
	if errors.Is(err, nlsocket.ErrLost) {
		select {
		case w.lost <- err:
		default: // one is enough
		}
	} else if ctx.Err() == nil { // nor has it been closed
		select {
		case w.lost <- err:
		case <-ctx.Done():
		}
	}
}

// again looks at everything, because the kernel's words were lost or not understood, and has the plugins asked for what it cannot see. Where it says no more, there is nothing
// to wait for.
func (w *watch) again(ctx context.Context, why error) error {
	if !errors.Is(why, nlsocket.ErrLost) {
		return why
	}
	w.say("looks at everything: %v", why)
	w.tables.Forget()
	look, stop := context.WithTimeout(ctx, patienceForAll)
	defer stop()
	missing, err := w.keeper.Look(look)
	if err == nil && missing {
		w.keeper.Forget()
		_, err = w.keeper.Look(look)
	}
	w.ask(why.Error())
	if fault.Code(err) == fault.TryLater {
		w.lose(ctx, why)
		return nil
	}
	return err
}

// patienceForAll is how long is waited for a moment in which nobody changes anything.
const patienceForAll = 5 * time.Second
