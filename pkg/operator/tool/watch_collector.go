package tool

import (
	"runtime/debug"
	"sync"
	"time"
)

// collector has Go's rest where nothing happens: else it collects every two minutes, for which it wakes all threads (runtime, forcegcperiod), though there is nothing
// to collect. It is for a process that does nothing but what it is told of.
type collector struct {
	mu    sync.Mutex
	works bool
	rests *time.Timer
}

// thrifty is how much more than what is in use may be garbage, in percent: who waits has time.
const thrifty = 20

// calm is how long nothing happens before it rests.
const calm = time.Second

func newCollector() *collector {
	c := new(collector)
	c.rests = time.AfterFunc(calm, c.rest)
	c.stir()
	return c
}

// stir says that something happens, for which memory is taken.
func (c *collector) stir() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rests.Reset(calm)
	if !c.works {
		c.works = true
		debug.SetGCPercent(thrifty)
	}
}

// rest gives back what was taken. Who stirs meanwhile waits for that.
func (c *collector) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.works = false
	debug.FreeOSMemory()
	debug.SetGCPercent(-1)
}
