package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/trestle-cni/trestle/test/bench/figure"
)

// target is what a figure should be.
type target struct {
	figure, scenario, column, verb string
	of                             func(*Result, Series) figure.Estimate
	goals                          []goal
	atLeast                        bool // the goals are the least, else the most
}

// goal is that of one contestant.
type goal struct {
	form  string
	value float64
}

// ofThree are our forms' goals.
func ofThree(separate, bundle, one float64) []goal {
	return []goal{{"separate", separate}, {"bundle", bundle}, {"one exec", one}}
}

// than is how many times faster something is than the peer.
func than(peer string) func(*Result, Series) figure.Estimate {
	return func(r *Result, s Series) figure.Estimate { return r.faster(s, peer) }
}

func targets() []target {
	flat := ofThree(1.1, 1.1, 1.1)
	list := []target{
		{"ADD, times faster than 1.10.0 (nftables)", "one", "", "ADD", than(newest + ", nftables"), ofThree(6, 8, 12), true},
		{"ADD, times faster than 1.10.0 (iptables)", "one", "", "ADD", than(newest + ", iptables"), ofThree(6, 8, 12), true},
		{"ADD, of floor and starts", "one", "", "ADD", (*Result).overFloor, ofThree(1.6, 1.6, 1.6), false},
		{"DEL, times faster than 1.10.0 (nftables)", "one", "", "DEL", than(newest + ", nftables"), ofThree(6, 7, 8), true},
		{"DEL, of floor and starts", "one", "", "DEL", (*Result).overFloor, ofThree(1.3, 1.3, 1.3), false},
		{"repeated DEL, of starts", "one", "", "AGAIN", (*Result).overFloor, ofThree(1.2, 1.2, 1.2), false},
		{"repeated DEL at 1,000 pods, of starts", "pods", "1000", "AGAIN", (*Result).overFloor, ofThree(1.2, 1.2, 1.2), false},
		{"repeated DEL at 10,000 pods, of starts", "pods", "10000", "AGAIN", (*Result).overFloor, ofThree(1.2, 1.2, 1.2), false},
		{"ADDs a second, 16 at a time, of 1.10.0's (nftables)", "parallel", "16", "ADD", than(newest + ", nftables"), ofThree(8, 10, 12), true},
		{"DELs a second, 16 at a time, of 1.10.0's (nftables)", "parallel", "16", "DEL", than(newest + ", nftables"), ofThree(12, 15, 15), true},
		{"ADD at 1,000 pods, of that with none", "pods", "1000", "ADD", (*Result).overFirst, flat, false},
		{"DEL at 1,000 pods, of that with none", "pods", "1000", "DEL", (*Result).overFirst, flat, false},
		{"ADD of both families, of IPv4 alone", "family", "both", "ADD", (*Result).overFirst, ofThree(1.2, 1.2, 1.2), false},
		{"connect through the last of 10,000 ports, of the first of 10", "reach", "10000", "TCP last", (*Result).overFirst, []goal{{filled, 1.1}}, false},
		{"first packet through the last of 10,000 ports, of the first of 10", "reach", "10000", "UDP last", (*Result).overFirst, []goal{{filled, 1.1}}, false},
	}
	for _, count := range []string{"1000", "10000"} {
		list = append(list, target{"ptp: ADD at " + count + " containers, of that with none", "pairs", count, "ADD", (*Result).overFirst, ofThree(1.3, 1.3, 1.3), false},
			target{"firewall alone: ADD at " + count + " containers, of that with none", "firewall", count, "ADD", (*Result).overFirst, ofThree(1.1, 1.1, 1.1)[:2], false})
	}
	for _, backend := range []string{"nftables", "iptables"} {
		list = append(list, target{"podman's list: ADD, times faster than 1.10.0 (" + backend + ")", "podman", "", "ADD", than(newest + ", " + backend),
			ofThree(5, 5.5, 15), true})
	}
	for _, verb := range []string{"ADD", "DEL"} {
		list = append(list, target{"programs besides the named plugins, " + verb, "execs", "1 port", verb, (*Result).besides, ofThree(1, 0, 0), false})
	}
	return list
}

// judge writes each target with what was measured beside it. Where the interval has the goal in it, the run cannot tell.
func (r *Report) judge() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "target\tform\tgoal\tmeasured\t")
	for _, t := range targets() {
		for _, result := range r.Results {
			if result.Scenario == t.scenario {
				t.judge(w, result)
			}
		}
	}
	w.Flush()
	return b.String()
}

func (t target) judge(w *tabwriter.Writer, r *Result) {
	for _, goal := range t.goals {
		e := none
		if s := r.find(goal.form, t.column, t.verb); s != nil {
			e = t.of(r, *s)
		}
		sign := "<="
		if t.atLeast {
			sign = ">="
		}
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\n", t.figure, goal.form, sign, number(goal.value), estimate(e), t.verdict(e, goal.value))
	}
}

func (t target) verdict(e figure.Estimate, goal float64) string {
	switch {
	case math.IsNaN(e.Value):
		return "not measured"
	case e.Low < goal && goal < e.High:
		return "within the noise"
	case e.Value >= goal == t.atLeast || e.Value == goal:
		return "met"
	}
	return "not met"
}
