package plan

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/trestle-cni/trestle/pkg/site"
)

// lockState tries the ground's lock from outside, without waiting: it is free, shared or held alone.
func lockState(t *testing.T, dir string) string {
	t.Helper()
	fd, err := unix.Open(dir+"/br0.lock", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	switch {
	case unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil:
		return "free"
	case unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) == nil:
		return "shared"
	}
	return "alone"
}

// The ground is made by one alone, held shared until it is in use, and then left to the others.
func TestGroundLock(t *testing.T) {
	dir := t.TempDir()
	w := newWorld()
	look := func(name string) Step {
		return thing{world: w, name: name, during: func() { w.note("%s: %s", name, lockState(t, dir)) }}
	}
	p := Plan{Lock: "br0", Ground: []Step{look("bridge")}, Steps: []Step{look("veth"), look("address")}, Mark: 1}
	s, ctx := openSite(t, dir), context.Background()
	if _, err := p.Apply(ctx, s); err != nil {
		t.Fatal(err)
	}
	want := []string{"apply bridge", "bridge: alone", "apply veth", "veth: shared", "apply address", "address: free"}
	if diff := cmp.Diff(want, w.diary); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	w.diary = nil
	if _, err := p.Links().Apply(ctx, s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"apply veth", "veth: shared"}, w.diary); diff != "" {
		t.Errorf("where the ground is there already (-want +got):\n%s", diff)
	}
	if state := lockState(t, dir); state != "free" {
		t.Errorf("afterwards the lock is %s", state)
	}
}

func TestGroundFails(t *testing.T) {
	dir := t.TempDir()
	w := newWorld()
	p := Plan{Lock: "br0", Ground: []Step{thing{world: w, name: "bridge", apply: errBroken}}, Steps: []Step{thing{world: w, name: "veth"}}}
	done, err := p.Apply(context.Background(), openSite(t, dir))
	if !errors.Is(err, errBroken) || err.Error() != "bridge: broken" || len(done) != 0 {
		t.Errorf("done %v, error %v", done, err)
	}
	if state := lockState(t, dir); state != "free" || w.there["veth"] {
		t.Errorf("afterwards the lock is %s, and %v is there", state, w.there)
	}
}

// Ground that never becomes right, because somebody undoes it each time, ends in an error that names it, not in a loop.
func TestGroundNeverHolds(t *testing.T) {
	dir := t.TempDir()
	w := newWorld()
	p := Plan{Lock: "br0", Ground: []Step{undone{thing{world: w, name: "bridge"}}}}
	_, err := p.Apply(context.Background(), openSite(t, dir))
	if err == nil || err.Error() != "bridge: not there" {
		t.Errorf("error %v, want the ground's name and what is wrong with it", err)
	}
	if len(w.diary) != maxGround || lockState(t, dir) != "free" {
		t.Errorf("tried %d times, the lock is %s", len(w.diary), lockState(t, dir))
	}
}

// undone is a thing that somebody takes away as soon as it is made.
type undone struct{ thing }

func (u undone) Apply(ctx context.Context, s *site.Site) (bool, error) {
	created, err := u.thing.Apply(ctx, s)
	delete(u.there, u.name)
	return created, err
}

// Whatever was there and wherever it fails: the rollback restores the world, and a plan that was applied is undone to nothing of its
// steps.
func TestRollbackProperty(t *testing.T) {
	s, ctx := openSite(t, t.TempDir()), context.Background()
	names := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "there before") {
			w.there[name] = true
		}
		before := len(w.there)
		count := rapid.IntRange(1, len(names)).Draw(t, "steps")
		bad, half := rapid.IntRange(0, count).Draw(t, "bad"), rapid.Bool().Draw(t, "half")
		var p Plan
		for i, name := range names[:count] {
			step := thing{world: w, name: name}
			if i == bad {
				step.apply, step.half = errBroken, half
			}
			p.Steps = append(p.Steps, step)
		}
		done, err := p.Apply(ctx, s)
		if (err != nil) != (bad < count) {
			t.Fatalf("apply: %v", err)
		}
		if err := done.Undo(ctx, s); err != nil || len(w.there) != before {
			t.Fatalf("after the rollback: %v, %v", w.there, err)
		}
		if err := p.Undo(ctx, s); err != nil || slices.ContainsFunc(names[:count], func(n string) bool { return w.there[n] }) {
			t.Fatalf("after the undo: %v, %v", w.there, err)
		}
	})
}
