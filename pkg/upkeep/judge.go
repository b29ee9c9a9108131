package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall/nft"
)

// heal makes again what the transactions removed.
func (w *watch) heal(ctx context.Context, causes []nft.Told, now time.Time) {
	var who []string
	compat := false
	for _, t := range causes {
		what, by := w.judge(t, now)
		who = append(who, by+" had removed "+what)
		compat = compat || t.Compat()
	}
	slices.Sort(who)
	done, err := w.restore(ctx)
	if anchored, failed := w.anchorIf(ctx, causes); anchored || failed != nil {
		err = errors.Join(err, failed)
		done.Rules++
	}
	why := strings.Join(slices.Compact(who), "; ")
	switch {
	case err != nil:
		w.say("could not make it again: %v: %s", err, why)
	case !done.Nothing():
		w.say("made again: %s, in %d ms: %s", told(done), time.Since(now).Milliseconds(), why)
	}
	if err != nil || done.Foreign || compat && w.keeper.IPTables() || w.keeper.Guests(done.Tables) {
		w.ask(why)
	}
}

// anchorIf makes the anchor again where one of the transactions changed the chain that it is in.
func (w *watch) anchorIf(ctx context.Context, causes []nft.Told) (bool, error) {
	if !slices.ContainsFunc(causes, func(t nft.Told) bool { return t.Forwarded }) || !w.keeper.Forwards() {
		return false, nil
	}
	return w.anchor(ctx)
}

// judge says what went and who did it, and notes a habit.
func (w *watch) judge(t nft.Told, now time.Time) (what, by string) {
	by = fmt.Sprintf("%s (process %d)", t.Name, t.Process)
	if t.Name == "" {
		by = "somebody, of whom the kernel says nothing,"
	}
	what = t.What()
	w.mu.Lock()
	defer w.mu.Unlock()
	if what == "" || strings.HasPrefix(what, "table ") && w.none() {
		w.habits.forgive()
		return "tables " + strings.Join(t.Tables(), ", "), by
	}
	if until := w.habits.deleted(t.Name, what, now); !until.IsZero() {
		w.say("leaves alone until %s: %s, which %s removes again and again; trestle repair makes it again, trestle pause keeps all of it as it is",
			until.Format(time.TimeOnly), what, by)
	}
	return what, by
}

// none says whether the namespace has no tables left: who deletes the last one may have flushed all.
func (w *watch) none() bool {
	conn, err := w.filter.Conn()
	if err != nil {
		return false
	}
	tables, err := conn.ListTables()
	return err == nil && len(tables) == 0
}

// told is what was made again, in words.
func told(r nft.Restored) string {
	var parts []string
	for _, t := range r.Tables {
		parts = append(parts, "table "+t)
	}
	if r.Elements > 0 {
		parts = append(parts, fmt.Sprintf("%d elements", r.Elements))
	}
	if r.Rules > 0 {
		parts = append(parts, fmt.Sprintf("%d rules", r.Rules))
	}
	text := strings.Join(parts, ", ")
	if len(r.Owners) > 0 {
		text += fmt.Sprintf(" of %d attachments", len(r.Owners))
	}
	return text
}
