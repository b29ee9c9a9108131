package plan

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

func TestDownAndUp(t *testing.T) {
	w := newWorld()
	p := Plan{Ground: []Step{thing{world: w, name: "bridge"}}, Steps: []Step{thing{world: w, name: "veth"}, thing{world: w, name: "route"}}, Mark: 1}
	s, ctx := openSite(t, t.TempDir()), context.Background()
	done, err := p.Apply(ctx, s)
	if err != nil || len(done) != 2 {
		t.Fatalf("apply: %v, %v", done, err)
	}
	if err := p.Verify(ctx, s); err != nil {
		t.Errorf("verify after apply: %v", err)
	}
	if again, err := p.Apply(ctx, s); len(again) != 0 || err != nil {
		t.Errorf("applied again it created %v, %v", again, err)
	}
	if err := p.Undo(ctx, s); err != nil {
		t.Error(err)
	}
	want := []string{"apply bridge", "apply veth", "apply route", "apply bridge", "apply veth", "apply route", "undo route", "undo veth"}
	if diff := cmp.Diff(want, w.diary); diff != "" {
		t.Errorf("diary (-want +got):\n%s", diff)
	}
	if !w.there["bridge"] {
		t.Error("undo took the ground away")
	}
	if err := p.Sweep(ctx, s); err != nil || w.there["bridge"] {
		t.Errorf("the ground is there after the sweep: %v", err)
	}
}

// A failed ADD undoes exactly what it made: neither what was there before nor what was not reached; but also what a step made before
// it failed.
func TestRollback(t *testing.T) {
	for _, half := range []bool{false, true} {
		w := newWorld()
		w.there["old"] = true
		p := Plan{Steps: []Step{thing{world: w, name: "old"}, thing{world: w, name: "new"}, thing{world: w, name: "bad", apply: errBroken, half: half}, thing{world: w, name: "late"}}}
		s, ctx := openSite(t, t.TempDir()), context.Background()
		done, err := p.Apply(ctx, s)
		if !errors.Is(err, errBroken) || err.Error() != "bad: broken" {
			t.Errorf("error %v, want the step's name and its cause", err)
		}
		if err := done.Undo(ctx, s); err != nil {
			t.Error(err)
		}
		want := []string{"apply old", "apply new", "apply bad", "undo bad", "undo new"}
		if !half {
			want = []string{"apply old", "apply new", "apply bad", "undo new"}
		}
		if diff := cmp.Diff(want, w.diary); diff != "" {
			t.Errorf("half %v: diary (-want +got):\n%s", half, diff)
		}
		if diff := cmp.Diff(map[string]bool{"old": true}, w.there); diff != "" {
			t.Errorf("half %v: what is there (-want +got):\n%s", half, diff)
		}
	}
}

// An Undo that fails half-way goes on, and says all that went wrong.
func TestUndoGoesOn(t *testing.T) {
	w := newWorld()
	p := Plan{Steps: []Step{thing{world: w, name: "a", undo: errBroken}, thing{world: w, name: "b"}, thing{world: w, name: "c", undo: errBroken}}}
	err := p.Undo(context.Background(), openSite(t, t.TempDir()))
	if err == nil || err.Error() != "c: broken; a: broken" {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"undo c", "undo b", "undo a"}, w.diary); diff != "" {
		t.Errorf("diary (-want +got):\n%s", diff)
	}
}

func TestCarrier(t *testing.T) {
	w := newWorld()
	link, route := thing{world: w, name: "link"}, inner{thing{world: w, name: "route"}}
	s, ctx := openSite(t, t.TempDir()), context.Background()
	if err := (Plan{Steps: []Step{wrapped{carrier{link}}, wrapped{route}}}).Undo(ctx, s); err != nil {
		t.Error(err)
	}
	if err := (Done{route}).Undo(ctx, s); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"undo link", "undo route"}, w.diary); diff != "" {
		t.Errorf("with the link the route goes, alone it is undone (-want +got):\n%s", diff)
	}
	link.undo = errBroken
	err := Plan{Steps: []Step{wrapped{carrier{link}}, route}}.Undo(ctx, s)
	if !errors.Is(err, errCarrier) || !errors.Is(err, errBroken) {
		t.Errorf("error %v, want it to say that the container's interface remains", err)
	}
	route.undo = errBroken
	if err := (Done{route}).Undo(ctx, s); errors.Is(err, errCarrier) {
		t.Errorf("error %v of a step that carries nothing", err)
	}
}

func TestVerifyListsAll(t *testing.T) {
	w := newWorld()
	w.there["b"] = true
	p := Plan{Ground: []Step{thing{world: w, name: "a"}}, Steps: []Step{thing{world: w, name: "b"}, thing{world: w, name: "c"}}}
	err := p.Verify(context.Background(), openSite(t, t.TempDir()))
	if fault.Code(err) != fault.Drift || err.Error() != "a: not there; c: not there" || fault.Hint(err) == "" {
		t.Errorf("code %d, hint %q: %v", fault.Code(err), fault.Hint(err), err)
	}
}

// The remedy is a repair exactly where that would make good all that differs.
func TestVerifyKnowsTheRemedy(t *testing.T) {
	w := newWorld()
	ground, swept, own := thing{world: w, name: "ground"}, wrapped{mendable{thing{world: w, name: "swept"}}}, thing{world: w, name: "own"}
	p, s := Plan{Ground: []Step{ground}, Steps: []Step{own, swept}}, openSite(t, t.TempDir())
	for own, want := range map[bool]bool{true: true, false: false} {
		w.there = map[string]bool{"own": own}
		if got := fault.Hint(p.Verify(context.Background(), s)) == Repairable; got != want {
			t.Errorf("the attachment's own is there: %v, a repair is the remedy: %v", own, got)
		}
	}
}

// Guard and Ready find what a wrapper hides, and touch nothing.
func TestGuardAndReady(t *testing.T) {
	w := newWorld()
	p := Plan{Ground: []Step{thing{world: w, name: "a"}}, Steps: []Step{wrapped{wrapped{thing{world: w, name: "b", guard: errBroken}}}, thing{world: w, name: "c", guard: errBroken}}}
	s, ctx := openSite(t, t.TempDir()), context.Background()
	for _, err := range []error{p.Guard(ctx, s), p.Ready(ctx, s)} {
		if !errors.Is(err, errBroken) || err.Error() != "b: broken" {
			t.Errorf("%v, want the first complaint with its step", err)
		}
	}
	p.Steps = p.Steps[:0]
	if err := errors.Join(p.Guard(ctx, s), p.Ready(ctx, s)); err != nil || len(w.diary) != 0 {
		t.Errorf("%v, diary %v", err, w.diary)
	}
}

func TestOwners(t *testing.T) {
	one, two := owner.Of("n", "1", "eth0"), owner.Of("n", "2", "eth0")
	w := newWorld()
	p := Plan{Steps: []Step{
		thing{world: w, name: "claim", owners: []firewall.Holder{{Owner: one}, {Owner: two}}, undo: errBroken},
		wrapped{thing{world: w, name: "veth", owners: []firewall.Holder{{Owner: one, Linked: true}}}},
	}}
	got, err := p.Owners(context.Background(), openSite(t, t.TempDir()), one.Network)
	if !errors.Is(err, errBroken) || err.Error() != "claim: broken" {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]firewall.Holder{{Owner: one, Linked: true}, {Owner: two}}, got); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

// A SIGTERM between two steps stops there; what was made is known.
func TestCancelled(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := Plan{Steps: []Step{thing{world: w, name: "a", during: cancel}, thing{world: w, name: "b"}}}
	s := openSite(t, t.TempDir())
	done, err := p.Apply(ctx, s)
	if !errors.Is(err, context.Canceled) || err.Error() != "b: not begun: context canceled" || len(done) != 1 {
		t.Errorf("done %v, error %v", done, err)
	}
	if err := done.Undo(context.WithoutCancel(ctx), s); err != nil || len(w.there) != 0 {
		t.Errorf("left %v: %v", w.there, err)
	}
}
