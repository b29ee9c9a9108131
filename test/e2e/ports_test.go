package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// manyPorts are as many as a telephone exchange or a game server asks for.
const manyPorts = 500

// TestManyPorts publishes one port and many in one call each, and takes them away. What the calls take is logged, for
// docs/performance.md, and not judged: the machine may have other work.
func TestManyPorts(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		w.container("one")
		w.attach("one", network(`"isDefaultGateway": true, `+hostLocal(subnet)))
		var mappings []string
		for i := range manyPorts {
			mappings = append(mappings, mapping("udp", 10000+i, 10000+i, ""))
		}
		for _, backend := range backends {
			keys := fmt.Sprintf(`"backend": %q`, backend)
			one, all := cost{time.Hour, time.Hour}, cost{time.Hour, time.Hour}
			for range 5 {
				one.measure(t, w.ports("one", keys, mappings[0]))
				all.measure(t, w.ports("one", keys, mappings...))
			}
			t.Logf("%s: one port: ADD %s, DEL %s; %d ports: ADD %s, DEL %s (the best of five)", backend, one.add, one.del, manyPorts, all.add, all.del)
		}
	})
}

// cost is the shortest time that calls took.
type cost struct{ add, del time.Duration }

func (c *cost) measure(t *testing.T, config string) {
	t.Helper()
	began := time.Now()
	succeed(t, "ADD", "portmap", "one", config)
	added := time.Now()
	succeed(t, "DEL", "portmap", "one", config)
	c.add, c.del = min(c.add, added.Sub(began)), min(c.del, time.Since(added))
}
