package main

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/bench/figure"
	"github.com/trestle-cni/trestle/test/bench/host"
)

func TestMain(m *testing.M) {
	host.Serve()
	os.Exit(m.Run())
}

// A run of two rounds measures what it says: no call fails, each verb has a time for each round, and the report is written.
func TestRun(t *testing.T) {
	w, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	list := scenarios(options{rounds: 2})
	one := list[0]
	one.only, one.Columns[0].alone = []string{"bundle", "one exec", "floor", "a start"}, true
	r, err := measure(one, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Series) != 4+4+2+1 {
		t.Errorf("%d series", len(r.Series))
	}
	for _, s := range r.Series {
		if s.Failed > 0 || len(s.Seen.All(nil)) != 2 || s.Seen.Median(nil) <= 0 {
			t.Errorf("%s %s: %+v", s.Contestant, s.Verb, s)
		}
	}
	report := &Report{Machine: machine(t.Context(), w), Results: []*Result{r}}
	dir := t.TempDir()
	if err := report.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.txt", "report.json", "one-ADD.svg", "one-DEL.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Programs are counted: one for each plugin of the list and, of separate binaries, the address plugin.
func TestExecs(t *testing.T) {
	w, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	col := traced()[0]
	col.alone = true
	r, err := measure(Scenario{Name: "execs", Rounds: 1, Columns: []Column{col}, only: ways}, w)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"separate": 3, "bundle": 2, "one exec": 1} {
		for _, verb := range verbs {
			if got := r.find(name, col.Name, verb).Execs; got != want {
				t.Errorf("%s %s: %d programs, want %d", name, verb, got, want)
			}
		}
	}
}

// Podman's list is a program for each of its plugins more, and all of it works.
func TestPodman(t *testing.T) {
	w, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.peers = nil
	r, err := measure(Scenario{Name: "podman", Rounds: 1, Columns: []Column{podman(true)}, only: ways}, w)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"separate": 5, "bundle": 4, "one exec": 1} {
		for _, verb := range verbs {
			if s := r.find(name, "", verb); s.Execs != want || s.Failed > 0 {
				t.Errorf("%s %s: %d programs, want %d; %d failed: %s", name, verb, s.Execs, want, s.Failed, s.Error)
			}
		}
	}
}

// Among containers that are there, on pairs and on bridges with firewall, all forms work, and of the latter a part of the time is firewall's.
func TestAmong(t *testing.T) {
	w, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios(options{rounds: 2}) {
		if s.Name != "pairs" && s.Name != "firewall" {
			continue
		}
		s.Columns = among(s.Columns[0].List, s.Columns[0].Of, 0, 3)
		r, err := measure(s, w)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"pairs": 2*3*4 + 2*2, "firewall": 2 * 2 * 4}[s.Name]; len(r.Series) != want {
			t.Errorf("%s: %d series, want %d", s.Name, len(r.Series), want)
		}
		for _, line := range r.Series {
			if line.Failed > 0 || len(line.Seen.All(nil)) != 2 || line.Seen.Median(nil) <= 0 {
				t.Errorf("%s %s %s: %+v", s.Name, line.Contestant, line.Verb, line)
			}
		}
	}
}

// The tool's commands look at those who are there, and each takes its time.
func TestTool(t *testing.T) {
	w, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := measure(Scenario{Name: "tool", Rounds: 2, Columns: among("", "", 1, 3), only: []string{operator}}, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Series) != 2*len(asked) {
		t.Errorf("%d series", len(r.Series))
	}
	for _, s := range r.Series {
		if s.Failed > 0 || len(s.Seen.All(nil)) != 2 || s.Seen.Median(nil) <= 0 || s.CPU <= 0 {
			t.Errorf("%s %s: %+v", s.Verb, s.Column.Name, s)
		}
	}
}

// Pods are present on as many networks as they need: a bridge has no room for all.
func TestFill(t *testing.T) {
	m, err := prepare(Contestant{Name: "inside", driver: host.Inside, one: true, lists: true}, plain(""), 1, nil)
	if m != nil {
		defer m.host.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Present, m.first = 7, 7
	if err := errors.Join(m.host.Pods(8), m.fill(3)); err != nil {
		t.Fatal(err)
	}
	if err := m.play(nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.results() {
		if s.Failed > 0 {
			t.Errorf("%s: %s", s.Verb, s.Error)
		}
	}
}

// Flows go through the first port and the last one of many, each takes its time, and it is the published port that they go through.
func TestReach(t *testing.T) {
	col := reaches(false)[1]
	col.Calls = 3
	m, err := prepare(Contestant{Name: filled, driver: host.Inside, one: true}, col, 2, nil)
	if m != nil {
		defer m.host.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	if err := errors.Join(m.play(random), m.play(random)); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.results() {
		if len(s.Seen.All(nil)) != 6 || s.Seen.Median(nil) <= 0 || s.Rate.Median(nil) <= 0 {
			t.Errorf("%s: %+v", s.Verb, s)
		}
	}
	if len(m.series) != len(reached) {
		t.Errorf("%d series", len(m.series))
	}
	beyond := m.through("tcp", true)
	beyond.Pod++
	if out, err := m.host.Flows(beyond); err != nil || out.Failed != col.Calls {
		t.Errorf("through a port that nobody published: %v %+v", err, out)
	}
}

// The floor does work: what it made is there, so that it cannot be made again, and what it removed is gone.
func TestFloor(t *testing.T) {
	m, err := prepare(Contestant{Name: "floor", driver: host.Floor}, plain(""), 1, nil)
	if m != nil {
		defer m.host.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		verb  string
		fails bool
	}{{"ADD", false}, {"ADD", true}, {"DEL", false}, {"DEL", true}} {
		out, err := m.host.Do(m.order(step.verb, 0, 1))
		if err != nil || (out.Failed > 0) != step.fails {
			t.Errorf("%s: %v %+v", step.verb, err, out)
		}
	}
}

// TestText holds the table against figures that can be computed by hand.
func TestText(t *testing.T) {
	one := func(name, verb string, starts int, seen float64) Series {
		return Series{Contestant: name, Column: plain(""), Verb: verb, Starts: starts, CPU: 1, Seen: figure.Rounds{{seen}, {seen}}, Rate: figure.Rounds{{1}, {1}}}
	}
	r := &Result{Scenario: "one", Title: "One", Rounds: 2, Took: 65 * time.Second, Series: []Series{one(oldest, "ADD", 0, 100), one("one exec", "ADD", 1, 10),
		one("floor", "ADD", 0, 4), one("a start", "ADD", 0, 1), one("one exec", "AGAIN", 1, 3)}}
	var got []string
	for l := range strings.Lines(r.text()) {
		got = append(got, strings.Join(strings.Fields(l), " "))
	}
	want := []string{"One (one, 2 rounds, 1m5s)",
		"verb column contestant p50 ms p95 p99 a second cpu ms x of 1.10.0 nftables x of 1.10.0 iptables x of 1.1.1 of floor and starts of the first column failed",
		"ADD 1.1.1, iptables 100 100 100 1.00 1.00 - - - - - 0",
		"ADD one exec 10.0 10.0 10.0 1.00 1.00 - - 10.0 2.00 - 0",
		"ADD floor 4.00 4.00 4.00 1.00 1.00 - - 25.0 - - 0",
		"ADD a start 1.00 1.00 1.00 1.00 1.00 - - - - - 0",
		"AGAIN one exec 3.00 3.00 3.00 1.00 1.00 - - - 3.00 - 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A last port is held against the first port of the first column, and what a run has no figure for stands among the targets all the same.
func TestJudge(t *testing.T) {
	flows := func(column, verb string, seen float64) Series {
		return Series{Contestant: filled, Column: plain(column), Verb: verb, Seen: figure.Rounds{{seen}, {seen}}}
	}
	execs := Series{Contestant: "separate", Column: plain("1 port"), Verb: "ADD", Execs: 3, Named: 2}
	report := &Report{Results: []*Result{
		{Scenario: "reach", Rounds: 2, Series: []Series{flows("10", "TCP first", 0.05), flows("10", "TCP last", 0.07), flows("10000", "TCP last", 0.06)}},
		{Scenario: "execs", Rounds: 1, Series: []Series{execs}},
	}}
	got := report.judge()
	for _, want := range []string{
		`connect through the last of 10,000 ports, of the first of 10 +ours +<= 1\.10 +1\.20 +not met`,
		`first packet through the last of 10,000 ports, of the first of 10 +ours +<= 1\.10 +- +not measured`,
		`programs besides the named plugins, ADD +separate +<= 1\.00 +1\.00 +met`,
		`programs besides the named plugins, ADD +one exec +<= 0\.00 +- +not measured`,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no line of %s in\n%s", want, got)
		}
	}
}

// A target is met or not where the run can tell.
func TestVerdict(t *testing.T) {
	least, most := target{atLeast: true}, target{}
	for _, c := range []struct {
		target
		low, value, high float64
		want             string
	}{
		{least, 11, 12, 13, "met"}, {least, 7, 8, 9, "not met"}, {least, 9, 11, 12, "within the noise"},
		{most, 7, 8, 9, "met"}, {most, 11, 12, 13, "not met"}, {most, 9, 11, 12, "within the noise"},
		{most, math.NaN(), math.NaN(), math.NaN(), "not measured"}, {least, 10, 10, 10, "met"}, {most, 10, 10, 10, "met"},
	} {
		if got := c.verdict(figure.Estimate{Value: c.value, Low: c.low, High: c.high}, 10); got != c.want {
			t.Errorf("at least %v, %v: %s, want %s", c.atLeast, c.value, got, c.want)
		}
	}
}
