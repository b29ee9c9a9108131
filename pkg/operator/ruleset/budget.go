package ruleset

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// What of one namespace may be read, and how far a packet is followed in it. Whoever owns a namespace fills it as he likes, and is not to slow down who
// looks at all of them.
const (
	mostMemory = 64 << 20    // bytes, of all that a ruleset is kept in
	mostTime   = time.Second // of the processor, which does not depend on what else the machine has to do
	mostSteps  = 200_000     // rules asked, and elements looked at by tens, for one judgment
)

// kept is about how many bytes it takes to keep a byte of what the kernel says of rules and elements.
const kept = 8

// budget is what is left of one reading. The thread must be the caller's alone.
type budget struct {
	memory int
	until  time.Duration
}

func newBudget() *budget { return &budget{mostMemory, processor() + mostTime} }

// processor is how long the processor has worked for this thread.
func processor() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // every kernel has it
	return time.Duration(t.Nano())
}

// spend takes what an answer of so many bytes costs.
func (b *budget) spend(bytes int) error {
	b.memory -= bytes * kept
	switch {
	case b.memory < 0:
		return fmt.Errorf("not read whole: takes more than %d MB", mostMemory>>20)
	case processor() > b.until:
		return fmt.Errorf("not read whole: takes more than %v", mostTime)
	}
	return nil
}

// step takes one step of a judgment, and says whether it was still to be had.
func (w *walk) step(cost int) bool {
	*w.left -= cost
	if *w.left < 0 {
		w.reason = fmt.Sprintf("a packet would ask more than %d rules", mostSteps)
		return false
	}
	return true
}
