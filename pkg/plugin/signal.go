package plugin

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/trestle-cni/trestle/pkg/deadline"
)

// ending are the signals by which somebody asks a plugin to end.
func ending() []os.Signal { return []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} }

// interruptible returns the context of a call that changes something. The signals do not kill it, since that would leave things half done. A DEL that
// was begun is finished whatever comes; what else there is can be interrupted while it waits, and what goes from attachment to attachment, or only
// asks, between two of them.
func interruptible(command string) context.Context {
	if command == "" || command == "VERSION" {
		return context.Background()
	}
	signal.Ignore(ending()...)
	if command == "DEL" || command == Part {
		return context.Background()
	}
	ctx, until := deadline.Mark(context.Background())
	w := &waiting{Context: ctx, until: until}
	if command == "GC" || command == CollectPart || command == "STATUS" {
		w.listen()
	}
	return w
}

// waiting is a context that listens to signals from when somebody first waits for its end. To listen takes two threads and a dozen wake-ups, 0.3 ms,
// which is a tenth of an ADD that waits for nothing; a signal within those few milliseconds is as one that comes after them.
type waiting struct {
	context.Context
	until time.Time
	once  sync.Once
	stop  context.CancelFunc              // never called: it listens until the process ends
	heard atomic.Pointer[context.Context] // nil: nobody has waited
}

func (w *waiting) listen() {
	w.once.Do(func() {
		var ctx context.Context
		ctx, w.stop = context.WithDeadline(w.Context, w.until)
		ctx, _ = signal.NotifyContext(ctx, ending()...)
		w.heard.Store(&ctx)
	})
}

// Done begins to listen.
func (w *waiting) Done() <-chan struct{} {
	w.listen()
	return (*w.heard.Load()).Done()
}

// Deadline is known without a timer.
func (w *waiting) Deadline() (time.Time, bool) { return w.until, true }

// Err knows of no signal as long as nobody has waited.
func (w *waiting) Err() error {
	if ctx := w.heard.Load(); ctx != nil {
		return (*ctx).Err()
	}
	if time.Now().After(w.until) {
		return context.DeadlineExceeded
	}
	return nil
}
