// Package phase tells what the time of a call goes into. With TRESTLE_TRACE set in its environment a plugin writes a line to standard error
// for each phase that ends:
//
//	trestle bridge: 0.113 ms guard
//
// A call that is not watched pays one look at its context for a phase.
package phase

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Variable is the environment variable that asks for the lines.
const Variable = "TRESTLE_TRACE"

type key struct{}

type clock struct {
	out  io.Writer
	who  string
	last time.Time
}

// Watch returns a context whose phases are written to out, if the environment asks for that. The first line is what the process has used of
// the processor so far: the runtime and the packages' initialisation, when it is called first thing.
func Watch(ctx context.Context, env map[string]string, out io.Writer, who string) context.Context {
	if env[Variable] == "" {
		return ctx
	}
	var used unix.Timespec
	if _, nested := ctx.Value(key{}).(*clock); !nested && unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used) == nil {
		write(out, who, time.Duration(used.Nano()), "start of the process (processor time)")
	}
	return context.WithValue(ctx, key{}, &clock{out, who, time.Now()})
}

// End notes that a phase has ended, which began where the one before ended. The words are joined by spaces.
func End(ctx context.Context, words ...any) {
	c, watched := ctx.Value(key{}).(*clock)
	if !watched {
		return
	}
	now := time.Now()
	text := fmt.Sprintln(words...)
	write(c.out, c.who, now.Sub(c.last), text[:len(text)-1])
	c.last = time.Now()
}

func write(out io.Writer, who string, took time.Duration, what string) {
	fmt.Fprintf(out, "trestle %s: %.3f ms %s\n", who, float64(took.Nanoseconds())/1e6, what)
}
