package e2e

import (
	"strings"
	"sync"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestTwice attaches one container's interface twice: one call fails and changes nothing, and one DEL takes all away.
func TestTwice(t *testing.T) {
	config := network(`"isGateway": true, "ipMasq": true, ` + hostLocal(subnet))
	for name, again := range map[string]func(*testing.T) (ok, refused int){
		"one after the other": func(t *testing.T) (ok, refused int) {
			succeed(t, "ADD", "bridge", "c1", config)
			before := snapshot.Take(t, netnsDir+"c1")
			ok, refused = addAtOnce(t, config, 1)
			if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
				t.Errorf("a second ADD changed\n%s", diff)
			}
			return ok + 1, refused
		},
		"at once": func(t *testing.T) (ok, refused int) { return addAtOnce(t, config, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				visited(config)(t)
				ground := snapshot.Take(t, netnsDir+"c1")
				if ok, refused := again(t); ok != 1 || refused != 1 {
					t.Errorf("%d calls succeeded and %d failed, want one of each", ok, refused)
				}
				now := snapshot.Take(t, netnsDir+"c1")
				if n := strings.Count(now, "reservation /var/lib/cni/networks/net/"); n != 1 {
					t.Errorf("%d reservations, want 1:\n%s", n, now)
				}
				result := succeed(t, "DEL", "bridge", "c1", config)
				if diff := snapshot.Diff(ground, snapshot.Take(t, netnsDir+"c1")); diff != "" {
					t.Errorf("one DEL left\n%s%s", diff, result.Err)
				}
			})
		})
	}
}

func addAtOnce(t *testing.T, config string, n int) (ok, refused int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			got, err := invoke("ADD", "bridge", "c1", config)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case got.Status == 0:
				ok++
			default:
				refused++
				if !strings.Contains(got.Msg, "c1") {
					t.Errorf("the refusal names no owner: %s", got.Msg)
				}
			}
		})
	}
	wg.Wait()
	return ok, refused
}
