// Package phase tells what the time of a call goes into. With TRESTLE_TRACE set in its environment a plugin writes a line to standard error
// for each phase that ends:
//
//	trestle bridge: 0.113 ms guard
//
// Who keeps a journal is told, too (Note). A call that is not watched pays one look at its context for a phase.
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
	out  io.Writer // nil: nobody reads lines
	who  string
	note func(took time.Duration, what string) // nil: nobody wants to know
	last time.Time
}

// Watch returns a context whose phases are written to out, if the environment asks for that. The first line is what the process has used of
// the processor so far: the runtime and the packages' initialisation, when it is called first thing.
func Watch(ctx context.Context, env map[string]string, out io.Writer, who string) context.Context {
	if env[Variable] == "" {
		return ctx
	}
	var used unix.Timespec
	outer, _ := ctx.Value(key{}).(*clock)
	if (outer == nil || outer.out == nil) && unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used) == nil {
		write(out, who, time.Duration(used.Nano()), "start of the process (processor time)")
	}
	c := &clock{out: out, who: who, last: time.Now()}
	if outer != nil {
		c.note = outer.note
	}
	return context.WithValue(ctx, key{}, c)
}

// Note returns a context whose phases are told to note, those of calls within the call included.
func Note(ctx context.Context, note func(took time.Duration, what string)) context.Context {
	return context.WithValue(ctx, key{}, &clock{note: note, last: time.Now()})
}

// End notes that a phase has ended, which began where the one before ended. The words are joined by spaces.
func End(ctx context.Context, words ...any) {
	c, watched := ctx.Value(key{}).(*clock)
	if !watched {
		return
	}
	now := time.Now()
	text := fmt.Sprintln(words...)
	what := text[:len(text)-1]
	if c.note != nil {
		c.note(now.Sub(c.last), what)
	}
	if c.out != nil {
		write(c.out, c.who, now.Sub(c.last), what)
	}
	c.last = time.Now()
}

func write(out io.Writer, who string, took time.Duration, what string) {
	fmt.Fprintf(out, "trestle %s: %.3f ms %s\n", who, float64(took.Nanoseconds())/1e6, what)
}
