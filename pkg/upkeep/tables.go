package upkeep

import (
	"context"
	"slices"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/owner"
)

func (w *watch) close() {
	_ = w.filter.Close()
	if w.tables != nil {
		w.tables.Close()
	}
}

// learns has the tables of iptables read.
func (w *watch) learns() {
	select {
	case w.learn <- struct{}{}:
	default: // one look is enough
	}
}

// learnTables reads what iptables has of ours, after the plugins have changed it.
func (w *watch) learnTables(ctx context.Context) error {
	if !w.keeper.IPTables() {
		return nil
	}
	a, err := admit(w.Run)
	if err != nil {
		return err
	}
	defer a.end()
	first, err := w.tables.Learn(ctx, func(id owner.ID) bool { return a.admits(id, false) })
	if first && err == nil {
		w.say("knows what iptables has of ours")
	}
	return err
}

// left says what is left alone now; nil where nothing is, which is most often, and then no rule is named.
func (w *watch) left() firewall.Left {
	w.mu.Lock()
	names := w.habits.left(time.Now())
	w.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	return func(what string) bool { return slices.Contains(names, what) }
}

// words learns how the plugins say a rule of iptables that is left alone: by the words of its tool.
func (w *watch) words(ctx context.Context, t nft.Told) {
	if !t.Compat() || len(t.Removed) != 1 || t.Removed[0].Whole {
		return
	}
	names, err := w.tables.Gone(ctx, firewall.Titled(t.Removed[0].Table), t.Removed[0].Chain)
	if err != nil || len(names) != 1 {
		return // which of several it is shows when the others are there again, and he goes on
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.habits[habit{t.Name, t.What()}]; p != nil {
		p.also = names[0]
	}
}
