package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/test/bench/chart"
)

// sentences say what is to be seen in the plots of a scenario.
var sentences = map[string]string{
	"one":      "What a pod waits for: the bars are medians. The floor is the kernel's own work, and a start that of a program that does nothing; nobody gets below both.",
	"family":   "IPv6 and both families cost ours hardly more than IPv4 alone.",
	"ports":    "Ours write all ports of a pod in one transaction: a hundred times the ports is not a hundred times the time.",
	"tcp":      "The same over TCP.",
	"pods":     "Ours grow with what the kernel does for each port of a bridge, as the floor does; the reference with iptables reads all rules of all pods at each call.",
	"backend":  "With iptables ours run the tool once a family, the reference once a rule.",
	"podman":   "Each plugin of the list is a start of its own, but in one exec.",
	"pairs":    "A pair that is no port of a bridge costs the same however many there are.",
	"firewall": "What passes is an element of a set: the line is to be flat.",
	"parallel": "Calls a second: as many at a time as stand below. Ours wait for no lock of each other's; all share the machine's processors.",
	"reach":    "A published port is found as fast among ten thousand as among ten: the line is to be flat.",
}

// plot draws each scenario that has several columns, and the bars of the first.
func (r *Report) plot(dir string) error {
	var errs []error
	for _, result := range r.Results {
		of := []string{"ADD", "DEL"}
		switch result.Scenario {
		case "execs", "mix": // a table says it all
			continue
		case "reach":
			of = []string{"TCP last", "UDP last"}
		}
		for _, verb := range of {
			if picture := result.draw(verb); picture != "" {
				file := fmt.Sprintf("%s-%s.svg", result.Scenario, strings.ReplaceAll(verb, " ", "-"))
				errs = append(errs, os.WriteFile(filepath.Join(dir, file), []byte(picture), 0o644))
			}
		}
	}
	return errors.Join(errs...)
}

// draw is the plot of a verb: bars where the columns are categories, else lines. Empty: there is nothing to compare.
func (r *Result) draw(verb string) string {
	c := chart.Chart{Title: r.Title + ": " + verb, Unit: "milliseconds, median", Sentence: sentences[r.Scenario]}
	switch r.Scenario {
	case "one", "family", "backend", "podman":
		groups := r.groups(verb)
		if len(groups) == 0 {
			return ""
		}
		return chart.Bars(c, groups)
	case "parallel":
		c.Unit = "calls a second, median"
	case "reach":
		c.Title = r.Title + ": " + strings.TrimSuffix(verb, " last") + ", the last port"
	}
	lines := r.lines(verb)
	if len(lines) == 0 {
		return ""
	}
	return chart.Lines(c, across[r.Scenario], r.steps(), lines, r.Scenario != "reach")
}

// ink is a contestant's, the same in all plots. Ours, where they do not differ, have that of the first.
func ink(name string) int {
	if name == "ours" {
		return 1
	}
	return slices.Index([]string{"one exec", "bundle", "separate", newest + ", nftables", newest + ", iptables", oldest}, name) + 1
}

// steps are the columns as numbers that people read.
func (r *Result) steps() (names []string) {
	for _, name := range r.columns() {
		if count, err := strconv.ParseFloat(name, 64); err == nil {
			name = chart.Number(count)
		}
		names = append(names, name)
	}
	return names
}

// across are what the columns of a scenario count.
var across = map[string]string{"ports": "published ports of the pod", "tcp": "published ports of the pod", "pods": "pods present", "pairs": "containers present", "firewall": "containers present", "parallel": "calls at a time",
	"reach": "published ports"}

// groups are the columns with a bar a contestant.
func (r *Result) groups(verb string) (groups []chart.Group) {
	names := r.contestants()
	for _, column := range r.columns() {
		g := chart.Group{Name: column}
		for _, name := range names {
			if s := r.find(name, column, verb); s != nil && len(s.Seen.All(nil)) > 0 {
				g.Bars = append(g.Bars, chart.Bar{Name: name, Value: s.Seen.Median(nil), Ink: ink(name)})
			}
		}
		if len(g.Bars) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// lines has a line a contestant over the columns. Calls at a time are shown by their rate.
func (r *Result) lines(verb string) (lines []chart.Line) {
	for _, name := range r.contestants() {
		l, known := chart.Line{Name: name, Ink: ink(name)}, 0
		for _, column := range r.columns() {
			v := math.NaN()
			if s := r.find(name, column, verb); s != nil && r.Scenario == "parallel" {
				v = s.Rate.Median(nil)
			} else if s != nil {
				v = s.Seen.Median(nil)
			}
			if v > 0 {
				known++
			} else {
				v = math.NaN()
			}
			l.Values = append(l.Values, v)
		}
		if known > 1 {
			lines = append(lines, l)
		}
	}
	return lines
}

func (r *Result) contestants() (names []string) {
	seen := make(map[string]bool)
	for _, s := range r.Series {
		if !seen[s.Contestant] {
			seen[s.Contestant] = true
			names = append(names, s.Contestant)
		}
	}
	return names
}
