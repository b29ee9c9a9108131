// Package deadline bounds a call of a plugin: however many locks, plugins and kernels it waits for, and whatever it undoes, it ends in time.
package deadline

import (
	"context"
	"time"
)

// A runtime gives a sandbox some minutes, in which it calls several plugins, and then calls DEL, which takes as long at the most.
const (
	Call = 60 * time.Second // all of a call
	Undo = 10 * time.Second // of it, what is kept for undoing what the work has done
)

type end struct{}

// Mark notes in the context that a call has begun, and until when its work may last. It sets no timer: the caller chooses by what means the
// work ends.
func Mark(ctx context.Context) (marked context.Context, work time.Time) {
	at := time.Now().Add(Call)
	return context.WithValue(ctx, end{}, at), at.Add(-Undo)
}

// Begin bounds the work of a call. What is called within another call is a part of that, and gets no time of its own.
func Begin(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, begun := ctx.Value(end{}).(time.Time); begun {
		return ctx, func() {}
	}
	ctx, work := Mark(ctx)
	return context.WithDeadline(ctx, work)
}

// Finishing is the context of work that is best finished once it was begun, as a DEL: what cancels the call does not end it, only the time.
func Finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	if at, bounded := ctx.Deadline(); bounded {
		return context.WithDeadline(context.WithoutCancel(ctx), at)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), Call-Undo)
}

// Undoing is the context of what takes back: neither what cancels the call nor the end of its work ends it, but the end of the whole.
func Undoing(ctx context.Context) (context.Context, context.CancelFunc) {
	at, begun := ctx.Value(end{}).(time.Time)
	if !begun {
		at = time.Now().Add(Undo)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), at)
}

// Early leaves to who comes after, in the same work, as much time as an undo has.
func Early(ctx context.Context) (context.Context, context.CancelFunc) {
	at, bounded := ctx.Deadline()
	if !bounded {
		at = time.Now().Add(Call - Undo)
	}
	return context.WithDeadline(ctx, at.Add(-Undo))
}

// Share is a part of the time that is left, one of so many. Who waits for one thing among others leaves time for these.
func Share(ctx context.Context, parts int) (context.Context, context.CancelFunc) {
	left := Call - Undo
	if at, bounded := ctx.Deadline(); bounded {
		left = time.Until(at)
	}
	return context.WithTimeout(ctx, left/time.Duration(parts))
}
