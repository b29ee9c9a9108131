// Package phase tells what the time of a call goes into. With TRESTLE_TRACE set in its environment a plugin writes a line to standard error
// for each phase that ends:
//
//	trestle bridge: 0.113 ms guard
//
// Who keeps a journal is told, too (Note), and a call whose time is up says in what it went (Longest). A phase that nobody reads of costs two looks at the clock.
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
	long *span // that of the whole call
}

// span is the longest phase so far, with the plugin that it was of. What is longer by less than a second may be the same one and what is around it.
type span struct {
	took time.Duration
	what string
}

// least is what a phase takes that is worth telling where a call was not done in time.
const least = time.Second

// Watch returns a context whose phases are written to out, if the environment asks for that. The first line is what the process has used of
// the processor so far: the runtime and the packages' initialisation, when it is called first thing.
func Watch(ctx context.Context, env map[string]string, out io.Writer, who string) context.Context {
	outer, _ := ctx.Value(key{}).(*clock)
	c := within(outer)
	c.who = who
	if env[Variable] != "" {
		var used unix.Timespec
		if (outer == nil || outer.out == nil) && unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used) == nil {
			write(out, who, time.Duration(used.Nano()), "start of the process (processor time)")
		}
		c.out = out
	}
	return context.WithValue(ctx, key{}, c)
}

// within is a clock for a part of what outer, where there is one, is of.
func within(outer *clock) *clock {
	c := &clock{last: time.Now(), long: new(span)}
	if outer != nil {
		c.note, c.long = outer.note, outer.long
	}
	return c
}

// Note returns a context whose phases are told to note, those of calls within the call included.
func Note(ctx context.Context, note func(took time.Duration, what string)) context.Context {
	outer, _ := ctx.Value(key{}).(*clock)
	c := within(outer)
	c.note = note
	return context.WithValue(ctx, key{}, c)
}

// End notes that a phase has ended, which began where the one before ended. The words are joined by spaces.
func End(ctx context.Context, words ...any) {
	c, watched := ctx.Value(key{}).(*clock)
	if !watched {
		return
	}
	took := time.Since(c.last)
	if c.note != nil || c.out != nil || c.exceeds(took) {
		c.tell(took, words)
	}
	c.last = time.Now()
}

// exceeds says whether a phase of that time is the longest so far.
func (c *clock) exceeds(took time.Duration) bool { return took > c.long.took+least }

func (c *clock) tell(took time.Duration, words []any) {
	text := fmt.Sprintln(words...)
	what := text[:len(text)-1]
	if c.exceeds(took) {
		*c.long = span{took, c.who + ": " + what}
	}
	if c.note != nil {
		c.note(took, what)
	}
	if c.out != nil {
		write(c.out, c.who, took, what)
	}
}

// Longest is the phase of the call that has taken longest, those of the plugins that it called in this process included, with the plugin before it: empty,
// where none took longer than a second.
func Longest(ctx context.Context) string {
	c, watched := ctx.Value(key{}).(*clock)
	if !watched || c.long.what == "" {
		return ""
	}
	return fmt.Sprintf("%.1f s of it in %s", c.long.took.Seconds(), c.long.what)
}

func write(out io.Writer, who string, took time.Duration, what string) {
	fmt.Fprintf(out, "trestle %s: %.3f ms %s\n", who, float64(took.Nanoseconds())/1e6, what)
}
