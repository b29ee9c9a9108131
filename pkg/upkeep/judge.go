package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
)

// owe notes what is to be made again. In a rest that may be much, of which the first is enough: then all is looked at.
func (w *watch) owe(t nft.Told) {
	if len(w.owed) < most {
		w.owed = append(w.owed, t)
	} else {
		w.more = true
	}
}

// most is how many transactions are remembered.
const most = 64

// unfinished is a heal that others did not let end.
type unfinished struct {
	who  []string // had removed what could not be made again yet
	asks bool     // the plugins are to be asked about what was made
}

// heal makes again what the transactions removed.
func (w *watch) heal(ctx context.Context, causes []nft.Told, now time.Time) {
	who, compat, forwarded := w.judgeAll(ctx, causes, now)
	done, err := w.restore(ctx, compat)
	anchored, failed := w.anchorIf(ctx, forwarded)
	if anchored {
		done.Rules++
	}
	err = errors.Join(err, failed)
	done.Partly = done.Partly || w.isCut(forwarded)
	w.conclude(who, done, err, now, fault.Code(err) == fault.TryLater && ctx.Err() == nil)
}

// conclude says what was made again, and has the plugins asked for the rest; later, where others go on, and verbs wait for whom a heal holds.
func (w *watch) conclude(who []string, done firewall.Restored, err error, now time.Time, later bool) {
	open := w.open
	w.open = unfinished{}
	asks := open.asks || done.Partly || len(who)+len(open.who) == 0 && w.keeper.IPTables() || w.keeper.Guests(done.Tables)
	if who = append(who, open.who...); len(who) == 0 {
		who = []string{"it had been left as it was"}
	}
	slices.Sort(who)
	who = slices.Compact(who)
	why := strings.Join(who, "; ")
	if !done.Nothing() {
		w.say("made again: %s, in %d ms: %s", told(done), time.Since(now).Milliseconds(), why)
	}
	switch {
	case later:
		w.open, w.more = unfinished{who[:min(len(who), most)], asks}, true
		return
	case err != nil:
		w.say("could not make it again: %v: %s", err, why)
	}
	if err != nil || asks {
		w.ask(why)
	}
}

// judgeAll says who did what, and where it is to be looked what is missing: in tables of iptables, in the chains FORWARD.
func (w *watch) judgeAll(ctx context.Context, causes []nft.Told, now time.Time) (who []string, compat, forwarded bool) {
	compat, forwarded, meant := w.more, w.more, false
	for _, t := range causes {
		said, left := w.judge(t, now)
		if who = append(who, said); left {
			w.words(ctx, t)
			w.mislead()
		}
		compat, forwarded, meant = compat || t.Compat() && !left, forwarded || t.Forwarded && !left, meant || t.Compat() && left
	}
	if w.more = false; meant && !compat {
		w.tables.Accept()
	}
	return who, compat, forwarded
}

// anchorIf makes the anchor again where the chain that it is in was changed, if anybody claims to pass.
func (w *watch) anchorIf(ctx context.Context, forwarded bool) (bool, error) {
	if !forwarded || !w.keeper.Forwards() {
		return false, nil
	}
	return w.filter.Reanchor(ctx)
}

// isCut says whether a chain FORWARD that was changed drops by now what package iptables lets pass where none does: of published ports it has more rules then.
func (w *watch) isCut(forwarded bool) bool {
	if !forwarded || !w.keeper.IPTables() {
		return false
	}
	was := w.drops
	now, cut, err := w.filter.Cut()
	w.drops = now
	return err != nil || cut || now && !was
}

// judge says what went and who did it, notes a habit, and says whether it is left alone.
func (w *watch) judge(t nft.Told, now time.Time) (said string, left bool) {
	by := fmt.Sprintf("%s (process %d)", t.Name, t.Process)
	if t.Name == "" {
		by = "somebody, of whom the kernel says nothing,"
	}
	what := t.What()
	all := what == "" || t.Made || strings.HasPrefix(what, "table ") && w.none()
	w.mu.Lock() // last: who restores has the filter, and asks what is left alone
	defer w.mu.Unlock()
	switch {
	case len(t.Removed) == 0:
		return by + " had changed the chain FORWARD, or what it asks", false
	case all:
		w.habits.forgive() // a flush, or a ruleset that was loaded, is against nobody
		return by + " had removed tables " + strings.Join(t.Tables(), ", "), false
	case !t.Ours():
		return by + " had removed " + what, false
	}
	until := w.habits.deleted(t.Name, what, now, cmp.Or(w.Patience, window))
	if !until.IsZero() {
		w.say("leaves alone until %s: %s, which %s removes again and again; trestle resume makes it again, trestle pause keeps all of it as it is",
			until.Format(time.TimeOnly), what, by)
	}
	return by + " had removed " + what, !until.IsZero()
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
func told(r firewall.Restored) string {
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
