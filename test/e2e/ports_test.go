package e2e

import (
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// A request for many ports costs little more than one for one: all of them are one transaction, and the flows of a protocol one dump.
const (
	manyPorts = 500
	extra     = 50 * time.Millisecond
)

// TestManyPorts compares the best of several calls, which the machine's other work disturbs least.
func TestManyPorts(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		w.container("one")
		w.attach("one", network(`"isDefaultGateway": true, `+hostLocal(subnet)))
		var mappings []string
		for i := range manyPorts {
			mappings = append(mappings, mapping("udp", 10000+i, 10000+i, ""))
		}
		one, all := cost{time.Hour, time.Hour}, cost{time.Hour, time.Hour}
		for range 30 {
			one.measure(t, w.ports("one", "", mappings[0]))
			all.measure(t, w.ports("one", "", mappings...))
			if all.add-one.add <= extra && all.del-one.del <= extra {
				t.Logf("one port: ADD %s, DEL %s; %d ports: ADD %s, DEL %s", one.add, one.del, manyPorts, all.add, all.del)
				return
			}
		}
		t.Errorf("%d ports: %+v, want at the most %s above those for one, %+v", manyPorts, all, extra, one)
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
