package upkeep

import (
	"time"
)

// Who deletes the same thing again and again, and nothing else, means it. habits knows who did what when, and what is left as it is because of that.
type habits map[habit]*past

// habit is one thing that is deleted by one program.
type habit struct{ program, what string }

// past is how often that was done, and until when it is left alone.
type past struct {
	times []time.Time
	until time.Time
	wait  time.Duration
	also  string // the same in the words in which the plugins write it; empty: they have no others
}

// often is how many times within the window something is made again; the next is left for a time, and each further one for twice as long, up to longest.
const (
	often   = 3
	window  = time.Minute
	longest = time.Hour
)

// deleted notes that a program deleted something, and returns until when that is left alone, at first for as long as the first time takes; the zero Time: it is not.
func (h habits) deleted(program, what string, now time.Time, first time.Duration) time.Time {
	p := h[habit{program, what}]
	if p == nil {
		p = &past{}
		h[habit{program, what}] = p
	}
	if now.Before(p.until) {
		return p.until
	}
	if now.Sub(p.until) > longest {
		p.wait = 0
	}
	for len(p.times) > 0 && now.Sub(p.times[0]) > window {
		p.times = p.times[1:]
	}
	if p.times = append(p.times, now); len(p.times) <= often && p.wait == 0 {
		return time.Time{}
	}
	p.wait = min(max(2*p.wait, first), longest)
	p.until, p.times = now.Add(p.wait), nil
	return p.until
}

// forgive makes all be made again: something larger went, or somebody asked.
func (h habits) forgive() { clear(h) }

// leaves says whether the thing is left alone.
func (h habits) leaves(what string, now time.Time) bool {
	for k, p := range h {
		if now.Before(p.until) && (k.what == what || p.also == what) {
			return true
		}
	}
	return false
}

// left are the names of what is left alone.
func (h habits) left(now time.Time) (names []string) {
	for k, p := range h {
		if now.Before(p.until) {
			names = append(names, k.what)
			if p.also != "" {
				names = append(names, p.also)
			}
		}
	}
	return names
}

// next is when the first of what is left alone is to be made again; the zero Time: nothing is.
func (h habits) next(now time.Time) (at time.Time) {
	for _, p := range h {
		if p.until.After(now) && (at.IsZero() || p.until.Before(at)) {
			at = p.until
		}
	}
	return at
}
