package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/trestle-cni/trestle/test/bench/figure"
)

// target is what a figure should be, for each of the forms.
type target struct {
	figure, scenario, column, verb string
	of                             func(*Result, Series) figure.Estimate
	goals                          [3]float64 // of forms
	atLeast                        bool       // the goals are the least, else the most
}

// forms are ours, in the order of target.goals.
var forms = [3]string{"separate", "bundle", "one exec"}

func targets() []target {
	return []target{
		{"ADD, times faster than the reference", "one", "", "ADD", (*Result).faster, [3]float64{5, 7, 12}, true},
		{"ADD, of floor and starts", "one", "", "ADD", (*Result).overFloor, [3]float64{1.6, 1.6, 1.6}, false},
		{"DEL, times faster than the reference", "one", "", "DEL", (*Result).faster, [3]float64{6, 7, 8}, true},
		{"DEL, of floor and starts", "one", "", "DEL", (*Result).overFloor, [3]float64{1.3, 1.3, 1.3}, false},
		{"repeated DEL, of starts", "one", "", "AGAIN", (*Result).overFloor, [3]float64{1.2, 1.2, 1.2}, false},
		{"ADDs a second, 16 at a time, of the reference's", "parallel", "16", "ADD", (*Result).faster, [3]float64{8, 10, 12}, true},
		{"DELs a second, 16 at a time, of the reference's", "parallel", "16", "DEL", (*Result).faster, [3]float64{12, 15, 15}, true},
		{"ADD with 1,000 pods present, of that with none", "pods", "1000", "ADD", (*Result).overFirst, [3]float64{1.1, 1.1, 1.1}, false},
		{"DEL with 1,000 pods present, of that with none", "pods", "1000", "DEL", (*Result).overFirst, [3]float64{1.1, 1.1, 1.1}, false},
		{"ADD of both families, of IPv4 alone", "family", "both", "ADD", (*Result).overFirst, [3]float64{1.2, 1.2, 1.2}, false},
	}
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
	for i, form := range forms {
		s := r.find(form, t.column, t.verb)
		if s == nil {
			continue
		}
		sign := "<="
		if t.atLeast {
			sign = ">="
		}
		e := t.of(r, *s)
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\n", t.figure, form, sign, number(t.goals[i]), estimate(e), t.verdict(e, t.goals[i]))
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
