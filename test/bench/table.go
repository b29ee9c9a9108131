package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/trestle-cni/trestle/test/bench/figure"
)

// find returns the series, nil for none.
func (r *Result) find(contestant, column, verb string) *Series {
	for i, s := range r.Series {
		if s.Contestant == contestant && s.Column.Name == column && s.Verb == verb {
			return &r.Series[i]
		}
	}
	return nil
}

// columns are the names of the columns in their order.
func (r *Result) columns() (names []string) {
	seen := make(map[string]bool)
	for _, s := range r.Series {
		if !seen[s.Column.Name] {
			seen[s.Column.Name] = true
			names = append(names, s.Column.Name)
		}
	}
	return names
}

// text is the table for people: medians with the ratio to the peer, to the floor with the form's process starts, and to the first column, each
// with its 95 % interval.
func (r *Result) text() string {
	if r.printed == "" {
		r.printed = r.print()
	}
	return r.printed
}

func (r *Result) print() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s, %d rounds, %s)\n", r.Title, r.Scenario, r.Rounds, r.Took)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	if r.Scenario == "execs" {
		r.execs(w)
	} else {
		fmt.Fprintln(w, "verb\tcolumn\tcontestant\tp50 ms\tp95\tp99\ta second\tcpu ms\tx of 1.10.0 nftables\tx of 1.10.0 iptables\tx of 1.1.1\tof floor and starts\tof the first column\tfailed\t")
		for _, verb := range series {
			for _, s := range r.Series {
				if s.Verb == verb {
					r.line(w, s)
				}
			}
		}
	}
	w.Flush()
	for _, s := range r.Series {
		if s.Failed > 0 {
			fmt.Fprintf(&b, "failed: %s %s %s: %d, the first: %s\n", s.Contestant, s.Column.Name, s.Verb, s.Failed, s.Error)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintln(&b, note)
	}
	return b.String()
}

func (r *Result) execs(w *tabwriter.Writer) {
	fmt.Fprintln(w, "column\tcontestant\tADD\tCHECK\tDEL\tDEL again\tnamed\t")
	for _, s := range r.Series {
		if s.Verb == "ADD" {
			fmt.Fprintf(w, "%s\t%s\t", s.Column.Name, s.Contestant)
			for _, verb := range verbs {
				fmt.Fprintf(w, "%d\t", r.find(s.Contestant, s.Column.Name, verb).Execs)
			}
			fmt.Fprintf(w, "%d\t\n", s.Named)
		}
	}
}

// besides is how many programs a call starts that the conflist does not name.
func (r *Result) besides(s Series) figure.Estimate {
	v := float64(s.Execs - s.Named)
	return figure.Estimate{Value: v, Low: v, High: v}
}

func (r *Result) line(w *tabwriter.Writer, s Series) {
	all := s.Seen.All(nil)
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", s.Verb, s.Column.Name, s.Contestant, number(figure.Quantile(all, 0.5)),
		number(figure.Quantile(all, 0.95)), number(figure.Quantile(all, 0.99)), number(s.Rate.Median(nil)), number(s.CPU),
		estimate(r.faster(s, newest+", nftables")), estimate(r.faster(s, newest+", iptables")), estimate(r.faster(s, oldest)), estimate(r.overFloor(s)), estimate(r.overFirst(s)), s.Failed)
}

// faster is how many times the peer's time (or how many times its rate, where calls go at once) a call takes.
func (r *Result) faster(s Series, peer string) figure.Estimate {
	p := r.find(peer, s.Column.Name, s.Verb)
	if p == nil || len(p.Seen.All(nil)) == 0 || s.Contestant == peer || s.Contestant == "a start" {
		return none
	}
	return figure.Over(r.Rounds, func(pick []int) float64 {
		if s.Column.Parallel > 1 {
			return s.Rate.Median(pick) / p.Rate.Median(pick)
		}
		return p.Seen.Median(pick) / s.Seen.Median(pick)
	})
}

// overFloor is the time over that of the kernel's own work and the start of the form's processes. Of a repeated DEL the kernel's work is nothing.
func (r *Result) overFloor(s Series) figure.Estimate {
	start := r.find("a start", r.columns()[0], "ADD")
	floor := r.find("floor", s.Column.Name, s.Verb)
	if s.Starts == 0 || start == nil || floor == nil && s.Verb != "AGAIN" || s.Column.Parallel > 1 {
		return none
	}
	return figure.Over(r.Rounds, func(pick []int) float64 {
		least := float64(s.Starts) * start.Seen.Median(pick)
		if floor != nil {
			least += floor.Seen.Median(pick)
		}
		return s.Seen.Median(pick) / least
	})
}

// overFirst is the time over that of the same contestant in the first column; of the last port over that of the first one there.
func (r *Result) overFirst(s Series) figure.Estimate {
	first := r.find(s.Contestant, r.columns()[0], strings.Replace(s.Verb, "last", "first", 1))
	if first == nil || first.Column.Name == s.Column.Name && first.Verb == s.Verb || s.Column.Parallel > 1 {
		return none
	}
	return figure.Over(r.Rounds, func(pick []int) float64 { return s.Seen.Median(pick) / first.Seen.Median(pick) })
}

var none = figure.Estimate{Value: math.NaN()}

func estimate(e figure.Estimate) string {
	switch {
	case math.IsNaN(e.Value):
		return "-"
	case math.IsNaN(e.Low) || e.Low == e.High:
		return number(e.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", number(e.Value), number(e.Low), number(e.High))
}

// number has three digits that count.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v > 0 && v < 0.1:
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
