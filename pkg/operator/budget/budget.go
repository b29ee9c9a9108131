// Package budget bounds what is read of one network namespace. Whoever owns it fills it as he likes, and is not to slow down who looks at all of them.
package budget

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// What of one namespace may be read.
const (
	Memory = 64 << 20    // bytes, of all that it is kept in
	Time   = time.Second // of the processor, which does not depend on what else the machine has to do
)

// kept is about how many bytes it takes to keep a byte of what the kernel says.
const kept = 8

// Budget is what is left for one namespace. A nil one has no end: who reads his own host may read all of it.
type Budget struct {
	memory int
	until  time.Duration
}

// New is a whole budget. The thread must be the caller's alone, as its time is counted.
func New() *Budget { return &Budget{Memory, Processor() + Time} }

// Processor is how long the processor has worked for this thread.
func Processor() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // every kernel has it
	return time.Duration(t.Nano())
}

// Spend takes what an answer of so many bytes costs. The error says that there is no more to be had.
func (b *Budget) Spend(bytes int) error {
	if b == nil {
		return nil
	}
	b.memory -= bytes * kept
	switch {
	case b.memory < 0:
		return fmt.Errorf("%w: takes more than %d MB", ErrOver, Memory>>20)
	case Processor() > b.until:
		return errTime
	}
	return nil
}

// ErrOver says that all was spent.
var ErrOver = errors.New("not read whole")

var errTime = fmt.Errorf("%w: takes more than %v", ErrOver, Time)
