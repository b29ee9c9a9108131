package plugin

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/phase"
)

// A call whose time is up says what it was busy with: who notices is often not who took the time. What took no second is not worth the word.
func TestLate(t *testing.T) {
	for name, c := range map[string]struct {
		guard time.Duration
		want  string
	}{
		"in a phase that has ended": {55 * time.Second, "test: not done in 50s, 55.0 s of it in test: guard of cni0: context deadline exceeded"},
		"in none":                   {0, "test: not done in 50s: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := call(t, with("CNI_COMMAND=STATUS"), config, func(ctx context.Context, _ *Request) error {
					time.Sleep(c.guard)
					phase.End(ctx, "guard of", "cni0")
					<-ctx.Done()
					return ctx.Err()
				})
				if e := r.fault(t); e.Code != fault.TryLater || e.Msg != c.want {
					t.Errorf("%+v\nwant %s", e, c.want)
				}
			})
		})
	}
}

// Of a phase and what is around it the inner one is told, with the plugin it is of.
func TestLongestOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := phase.Watch(t.Context(), nil, nil, "bridge")
		inner := phase.Watch(outer, nil, nil, "host-local")
		time.Sleep(3 * time.Second)
		phase.End(inner, "lock")
		phase.End(outer, "IPAM")
		time.Sleep(2 * time.Second)
		phase.End(outer, "guard")
		if got, want := phase.Longest(outer), "3.0 s of it in host-local: lock"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
