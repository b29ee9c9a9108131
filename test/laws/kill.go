package laws

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// Dying is the name of the rewrite that Mortal reads: "die at 7".
const Dying = "die at "

// Mortal returns the rewrite of a plugin that kills its own process at the moment that the name gives: moments are counted from 0, each
// planning and each end of an Apply or Undo is one.
func Mortal(name string) (Rewrite, error) {
	at, err := strconv.Atoi(strings.TrimPrefix(name, Dying))
	if err != nil {
		return nil, fmt.Errorf("rewrite %q: %w", name, err)
	}
	moment := func() {
		if at == 0 {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // the signal takes a moment where another thread is running
		}
		at--
	}
	wrap := each(func(_ int, step plan.Step) plan.Step {
		return Wrapped{Step: step,
			OnApply: func(ctx context.Context, s *site.Site) (bool, error) {
				defer moment()
				return step.Apply(ctx, s)
			},
			OnUndo: func(ctx context.Context, s *site.Site) error {
				defer moment()
				return step.Undo(ctx, s)
			}}
	})
	return func(p plan.Plan) plan.Plan {
		moment()
		return wrap(p)
	}, nil
}

// Kill is law 6: after a SIGKILL at any moment of an ADD, a DEL or a GC, a DEL restores the state; so does a GC that counts no attachment
// as valid, down to the ground, if there is anything on the host. Address plugins, which have no steps, are killed at their system calls.
func Kill(w *World) error {
	if w.kind(call{}).gives() {
		return Calls(w)
	}
	if w.Long {
		if err := Calls(w); err != nil {
			return err
		}
	}
	k, err := w.references()
	if err != nil {
		return err
	}
	for member := range w.Plugins {
		for _, verb := range k.verbs() {
			if err := k.verb(verb, member); err != nil {
				return err
			}
		}
	}
	return nil
}

// verbs lists what is killed. In a short run, whole chains stand for lone plugins in their GC.
func (k *killer) verbs() []string {
	if k.collects && (k.Long || len(k.Plugins) > 1) {
		return []string{"ADD", "DEL", "GC"}
	}
	return []string{"ADD", "DEL"}
}

// killer holds what the state is compared with.
type killer struct {
	*World
	grounded string // after another container's ADD and DEL
	swept    string // after a GC besides; empty where the protocol has none
	collects bool   // there is a GC, and what it looks for
}

func (w *World) references() (*killer, error) {
	if err := w.prime(); err != nil {
		return nil, err
	}
	books, err := w.keepBooks()
	k := &killer{World: w, grounded: w.snapshot(), collects: books && w.Speaks("GC")}
	if err != nil || !k.collects {
		return k, err
	}
	if err := w.gc(); err != nil {
		return nil, err
	}
	k.swept = w.snapshot()
	return k, nil
}

// verb kills the verb of one plugin at each moment that it has, and repairs in each way. In a short run it is a sample of the moments, and the ways take turns.
func (k *killer) verb(verb string, member int) error {
	ways, turn := k.ways(verb), k.Turn
	for moment, ended := 0, false; !ended; moment++ {
		if !k.sampled(moment) {
			continue
		}
		kill := func() (bool, error) {
			killed, err := k.killed(verb, member, moment)
			ended = !killed
			return killed, err
		}
		for i, way := range ways {
			if !k.Long && i != turn%len(ways) {
				continue
			}
			if err := way(k, kill); err != nil {
				return fmt.Errorf("%s of %s killed at moment %d: %w", verb, k.Plugins[member].Type(), moment, err)
			}
		}
		turn++
	}
	return nil
}

// ways lists what repairs the host. A GC that was killed may have swept some of the ground.
func (k *killer) ways(verb string) (list []func(*killer, func() (bool, error)) error) {
	if verb != "GC" {
		list = append(list, (*killer).byDel)
	}
	if k.collects {
		list = append(list, (*killer).byGC, (*killer).afresh)
	}
	return list
}

// killed carries out the chain's calls up to the one that is killed. It says false when the call ended before that moment.
func (k *killer) killed(verb string, member, moment int) (bool, error) {
	err := k.upTo(verb, func(c call) ([]byte, error) {
		if c.verb != verb || c.member != member {
			return k.inProcess(c)
		}
		return k.asProcess(c, k.Program(k.Plugins[member].Type(), Dying+strconv.Itoa(moment)))
	})
	if wasKilled(err) {
		return true, nil
	}
	return false, err
}

// upTo adds the container, and deletes or collects it where that is the verb.
func (k *killer) upTo(verb string, run runner) error {
	result, err := k.add(run, k.one)
	switch {
	case err != nil:
		return err
	case verb == "DEL":
		return k.del(run, call{of: k.one, prev: result})
	case verb == "GC":
		return k.all(run, call{verb: "GC", valid: []attachment{}})
	}
	return nil
}

func wasKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// byDel repairs a host that has ground with a DEL, as a runtime that remembers no result sends it.
func (k *killer) byDel(kill func() (bool, error)) error {
	before := k.snapshot()
	if sameShape(k.grounded, before, "") != nil {
		if err := k.prime(); err != nil {
			return err
		}
		before = k.snapshot()
	}
	if _, err := kill(); err != nil {
		return err
	}
	if err := k.del(k.inProcess, call{of: k.one}); err != nil {
		return err
	}
	return k.same(before, "DEL")
}

// byGC repairs a host that had no ground with a GC.
func (k *killer) byGC(kill func() (bool, error)) error {
	if err := k.gc(); err != nil {
		return err
	}
	if _, err := kill(); err != nil {
		return err
	}
	if err := k.gc(); err != nil {
		return err
	}
	if diff := snapshot.Diff(reachable(k.swept), reachable(k.snapshot())); diff != "" {
		return fmt.Errorf("GC: the state is not as it was:\n%s", diff)
	}
	return nil
}

// reachable is a snapshot without what of a container's namespace is no link's, its rules and such settings: a GC enters no namespace, and they go with it.
func reachable(text string) string {
	return snapshot.Without(text, func(line string) bool {
		if where, _, isRule := strings.Cut(line, " rule "); isRule && where != snapshot.Host {
			return true
		}
		where, what, _ := strings.Cut(line, " sysctl ")
		name, isLink := strings.CutPrefix(what[min(len(what), len("ipv4/")):], "conf/")
		return what != "" && where != snapshot.Host && (!isLink || strings.HasPrefix(name, "all/") || strings.HasPrefix(name, "default/") || strings.HasPrefix(name, "lo/"))
	})
}

// afresh repairs a host that had no ground with a DEL, and wants the next ADD to make the rest of the ground.
func (k *killer) afresh(kill func() (bool, error)) error {
	if err := k.gc(); err != nil {
		return err
	}
	if _, err := kill(); err != nil {
		return err
	}
	if err := k.del(k.inProcess, call{of: k.one}); err != nil {
		return err
	}
	if err := k.prime(); err != nil {
		return err
	}
	return sameShape(reachable(k.grounded), reachable(k.snapshot()), "DEL, and ADD and DEL of another")
}
