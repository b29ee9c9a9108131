package deadline

import (
	"context"
	"testing"
	"time"
)

// within fails the test unless the context ends in about so long.
func within(t *testing.T, ctx context.Context, want time.Duration) {
	t.Helper()
	at, bounded := ctx.Deadline()
	if left := time.Until(at); !bounded || left > want || left < want-5*time.Second {
		t.Errorf("ends in %v (%t), want %v", left, bounded, want)
	}
}

// A call, what it calls and what it undoes have one end, however deep it is asked for.
func TestOneDeadline(t *testing.T) {
	ctx, stop := Begin(t.Context())
	within(t, ctx, Call-Undo)
	inner, leave := Begin(ctx)
	defer leave()
	within(t, inner, Call-Undo)
	stop()
	if inner.Err() == nil {
		t.Error("the inner call outlives the outer")
	}
	for range 2 {
		undo, end := Undoing(inner)
		defer end()
		within(t, undo, Call)
		if undo.Err() != nil {
			t.Error("what undoes is cancelled")
		}
		inner = undo
	}
	goesOn, end := Finishing(ctx)
	defer end()
	within(t, goesOn, Call-Undo)
	if goesOn.Err() != nil {
		t.Error("what is best finished is cancelled")
	}
	early, end := Early(goesOn)
	defer end()
	within(t, early, Call-2*Undo)
	part, end := Share(goesOn, 5)
	defer end()
	within(t, part, (Call-Undo)/5)
}

// An earlier deadline of the caller's holds for the work, and not for what undoes it.
func TestCallersDeadline(t *testing.T) {
	short, end := context.WithTimeout(t.Context(), 7*time.Second)
	defer end()
	ctx, stop := Begin(short)
	defer stop()
	within(t, ctx, 7*time.Second)
	undo, end := Undoing(ctx)
	defer end()
	within(t, undo, Call)
}

// Who never said that a call began has bounds nevertheless.
func TestNobodyBegan(t *testing.T) {
	ctx, end := Finishing(context.Background())
	defer end()
	within(t, ctx, Call-Undo)
	ctx, end = Undoing(context.Background())
	defer end()
	within(t, ctx, Undo)
	ctx, end = Share(context.Background(), 2)
	defer end()
	within(t, ctx, (Call-Undo)/2)
}
