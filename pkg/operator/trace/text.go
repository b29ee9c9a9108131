package trace

import (
	"fmt"
	"strings"
)

// Text is the answer for people: what it comes to first, then each way step by step.
func (a *Answer) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", a.Outcome, a.Question)
	if a.Why != "" {
		fmt.Fprintf(&b, ": %s", a.Why)
	}
	b.WriteString("\n")
	if a.Remedy != "" {
		fmt.Fprintf(&b, "remedy: %s\n", a.Remedy)
	}
	if a.Outcome == Reachable && a.Seen.IsValid() {
		fmt.Fprintf(&b, "%s sees the client as %s\n", a.At, a.Seen)
	}
	for _, note := range a.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	hops(&b, "there", a.There)
	hops(&b, "back", a.Back)
	if a.Live != nil {
		a.Live.text(&b)
	}
	if a.Contradicts {
		fmt.Fprintf(&b, "\nlive contradicts the judgement: judged %s, and the packet was %s; what happened counts\n", a.Outcome, a.Live.Outcome)
	}
	return b.String()
}

func (l *Live) text(b *strings.Builder) {
	fmt.Fprintf(b, "\nlive: %s", l.Outcome)
	if l.Why != "" {
		fmt.Fprintf(b, ": %s", l.Why)
	}
	b.WriteString("\n")
	hops(b, "live, there", l.There)
	hops(b, "live, back", l.Back)
	for _, s := range l.Silent {
		fmt.Fprintf(b, "not heard: %s\n", s)
	}
}

func hops(b *strings.Builder, title string, list []Hop) {
	if len(list) == 0 {
		return
	}
	width := 0
	for _, h := range list {
		width = max(width, len(h.Place))
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, h := range list {
		fmt.Fprintf(b, "  %-*s  %s\n", width, h.Place, h.What)
		for _, m := range h.Rules {
			fmt.Fprintf(b, "  %-*s    %s\n", width, "", m)
		}
	}
}
