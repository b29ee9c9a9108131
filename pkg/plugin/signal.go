package plugin

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
)

// ending are the signals by which somebody asks a plugin to end.
func ending() []os.Signal { return []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} }

// interruptible returns the context of a call that changes something. The signals do not kill it, since that would leave things half done. A DEL that
// was begun is finished whatever comes; what else there is can be interrupted while it waits.
func interruptible(command string) context.Context {
	if command == "" || command == "VERSION" {
		return context.Background()
	}
	signal.Ignore(ending()...)
	if command == "DEL" {
		return context.Background()
	}
	return &waiting{Context: context.Background()}
}

// waiting is a context that listens to signals from when somebody first waits for its end. To listen takes two threads and a dozen wake-ups, 0.3 ms,
// which is a tenth of an ADD that waits for nothing; a signal within those few milliseconds is as one that comes after them.
type waiting struct {
	context.Context
	once  sync.Once
	heard atomic.Pointer[context.Context] // nil: nobody has waited
}

// Done begins to listen.
func (w *waiting) Done() <-chan struct{} {
	w.once.Do(func() {
		ctx, _ := signal.NotifyContext(w.Context, ending()...) // until the process ends
		w.heard.Store(&ctx)
	})
	return (*w.heard.Load()).Done()
}

// Err is nil as long as nobody has waited.
func (w *waiting) Err() error {
	if ctx := w.heard.Load(); ctx != nil {
		return (*ctx).Err()
	}
	return nil
}
