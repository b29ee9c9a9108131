package upkeep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/conntrack"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// admission decides of which owners what was swept away may be put back. Those that it admits are locked until it ends: a DEL that has begun before has said
// so, and one that begins after finds what was put back.
type admission struct {
	run   string
	file  *os.File
	links map[string]bool // of the host; nil until it is asked
	known map[owner.ID]bool
	busy  []owner.ID // somebody is at work on these
	dead  []owner.ID
}

// patienceForOne is how long one who is at work on an attachment is waited for: longer than anybody is.
const patienceForOne = 24 * time.Hour

func admit(run string) (*admission, error) {
	file, err := filelock.Open(filepath.Join(run, owner.Locks))
	return &admission{run: run, file: file, known: make(map[owner.ID]bool)}, err
}

// end lets everybody go on.
func (a *admission) end() { a.file.Close() }

func (a *admission) admits(id owner.ID, linked bool) bool {
	answer, known := a.known[id]
	if !known {
		answer = a.look(id, linked)
		a.known[id] = answer
	}
	return answer
}

func (a *admission) look(id owner.ID, linked bool) bool {
	if filelock.Part(a.file, id.Place(), false) != nil {
		a.busy = append(a.busy, id)
		return false
	}
	if gone.Is(a.run, id) || linked && !a.hasLink(owner.Owner{ID: id}.HostLink()) {
		a.dead = append(a.dead, id)
		return false
	}
	return true
}

// wait waits until nobody else is at work on the owner, who is locked then. With an error the admission has ended.
func (a *admission) wait(ctx context.Context, id owner.ID) error {
	ctx, stop := context.WithTimeout(ctx, patienceForOne)
	defer stop()
	return filelock.Wait(ctx, func() error { return filelock.Part(a.file, id.Place(), true) }, a.end)
}

// hasLink says whether the host has the link. Where that cannot be seen it has.
func (a *admission) hasLink(name string) bool {
	if a.links == nil {
		conn, err := rtnl.Open()
		if err != nil {
			return true
		}
		defer conn.Close()
		all, err := conn.Links()
		if err != nil {
			return true
		}
		a.links = make(map[string]bool, len(all))
		for _, l := range all {
			a.links[l.Attrs().Name] = true
		}
	}
	return a.links[name]
}

// restore puts back what is missing of our tables, and of those of iptables where these were swept, but for what somebody deletes on purpose. Of owners on whom somebody
// is at work it does so when he is done, or the plugins do.
func (w *watch) restore(ctx context.Context, compat bool) (done firewall.Restored, err error) {
	a, err := admit(w.Run)
	if err != nil {
		return done, err
	}
	defer a.end()
	done, err = w.restoreOf(ctx, a.admits)
	if compat && w.keeper.IPTables() {
		w.tables.Leave(w.left())
		more, failed := w.tables.Restore(ctx, firewall.Restoring{Admit: a.admits, Link: a.hasLink})
		done.Add(more)
		err = errors.Join(err, failed)
	}
	for _, id := range a.dead {
		w.keeper.DropOwner(id)
	}
	for _, id := range a.busy {
		if w.awaits(id, true) {
			w.later.Go(func() { w.restoreOne(ctx, id) })
		}
	}
	return done, err
}

// awaits notes whether the owner is waited for, of whom one waits however often all is swept away meanwhile, and says whether that is new.
func (w *watch) awaits(id owner.ID, waits bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.awaited[id]
	if delete(w.awaited, id); waits {
		w.awaited[id] = true
	}
	return was != waits
}

// restoreOne puts back what is missing of one owner, once nobody is at work on him.
func (w *watch) restoreOne(ctx context.Context, id owner.ID) {
	a, err := admit(w.Run)
	if err == nil {
		err = a.wait(ctx, id)
	}
	if w.awaits(id, false); err != nil {
		return
	}
	defer a.end()
	done, err := w.restoreOf(ctx, func(other owner.ID, linked bool) bool { return other == id && a.admits(other, linked) })
	switch {
	case err != nil:
		w.ask("a verb was at work when something went")
	case !done.Nothing():
		w.say("made again: %s, when the verb that was at work had ended", told(done))
	}
}

// atOnce is how long is tried to put things back while others go on changing them: whose things these are is locked, and his verbs wait.
const atOnce = 2 * time.Second

// restoreOf puts back what is missing of those who are admitted.
func (w *watch) restoreOf(ctx context.Context, admits func(owner.ID, bool) bool) (firewall.Restored, error) {
	ctx, stop := context.WithTimeout(ctx, atOnce)
	defer stop()
	done, err := w.keeper.Restore(ctx, firewall.Restoring{Admit: admits})
	w.lead(done)
	return done, err
}

// lead has flows that began while the rules were away begin anew, by the rules: the kernel asks about the first packet of a flow only.
func (w *watch) lead(done firewall.Restored) {
	if len(done.Ports)+len(done.Masqueraded) == 0 {
		return
	}
	table, err := conntrack.Open()
	if err == nil {
		defer table.Close()
		_, err = table.Astray(done.Ports, done.Masqueraded)
	}
	if err != nil {
		w.say("flows that began meanwhile go on as they began: %v", err)
	}
}

// leaves is asked by several at once.
func (w *watch) leaves(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.habits.leaves(what, time.Now())
}
