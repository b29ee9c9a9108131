// Package sum adds up what `go test -json` says of tests: a skipped test has shown nothing, so it counts as failed.
package sum

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json`, see `go doc test2json`. Events of a build have an ImportPath instead of a Package.
type event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string
	Elapsed                                                float64
}

// test names a test; an empty Name is its package as a whole.
type test struct{ Package, Name string }

// Tally is what has been heard of tests so far.
type Tally struct {
	ended  map[test]string // pass, fail or skip
	output map[test]*strings.Builder
	order  []test // as they began to speak
	builds map[string]*strings.Builder
}

// New returns a tally that has heard nothing.
func New() *Tally {
	return &Tally{ended: make(map[test]string), output: make(map[test]*strings.Builder), builds: make(map[string]*strings.Builder)}
}

// Read takes events until the stream ends, and prints a line for each package that has ended. The label, if any, stands before each package's name.
func (t *Tally) Read(events io.Reader, out io.Writer, label string) error {
	decoder := json.NewDecoder(events)
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		e.Package = label + e.Package
		t.take(e, out)
	}
}

func (t *Tally) take(e event, out io.Writer) {
	id := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		if t.builds[e.ImportPath] == nil {
			t.builds[e.ImportPath] = new(strings.Builder)
		}
		t.builds[e.ImportPath].WriteString(e.Output)
	case "output":
		t.say(id, e.Output)
	case "pass", "fail", "skip":
		t.ended[id] = e.Action
		if e.FailedBuild != "" {
			t.say(id, t.builds[e.FailedBuild].String())
		}
		if e.Test == "" && (e.Action != "skip" || t.speaks(e.Package)) {
			fmt.Fprintf(out, "%-4s  %-60s %7.2fs\n", e.Action, e.Package, e.Elapsed)
		}
	}
}

func (t *Tally) say(id test, text string) {
	if t.output[id] == nil {
		t.output[id] = new(strings.Builder)
		t.order = append(t.order, id)
	}
	t.output[id].WriteString(text)
}

// speaks says whether a test of the package was begun; a package without test files is "skipped" and of no interest.
func (t *Tally) speaks(pkg string) bool {
	return slices.ContainsFunc(t.order, func(id test) bool { return id.Package == pkg && id.Name != "" })
}

// leaves returns the tests without subtests, and the packages that failed where none of their tests did (a build error, a panic).
func (t *Tally) leaves() (passed, failed []test) {
	parents := make(map[test]bool)
	for _, id := range t.order {
		for i, c := range id.Name {
			if c == '/' {
				parents[test{id.Package, id.Name[:i]}] = true
			}
		}
	}
	blamed := make(map[string]bool)
	for _, id := range t.order {
		if id.Name == "" || parents[id] && t.ended[id] == "pass" {
			continue
		}
		if t.ended[id] == "pass" {
			passed = append(passed, id)
		} else if !parents[id] || !t.blamesChild(id) {
			failed = append(failed, id)
			blamed[id.Package] = true
		}
	}
	for _, id := range t.order {
		if id.Name == "" && t.ended[id] == "fail" && !blamed[id.Package] {
			failed = append(failed, id)
		}
	}
	return passed, failed
}

// blamesChild says whether a subtest of the failed test failed, and will be reported in its place.
func (t *Tally) blamesChild(parent test) bool {
	return slices.ContainsFunc(t.order, func(id test) bool {
		return id.Package == parent.Package && strings.HasPrefix(id.Name, parent.Name+"/") && t.ended[id] != "pass"
	})
}

// Count says how many tests passed and failed.
func (t *Tally) Count() (passed, failed int) {
	p, f := t.leaves()
	return len(p), len(f)
}

// Report prints what the failed tests said, and the sum.
func (t *Tally) Report(out io.Writer) {
	passed, failed := t.leaves()
	for _, id := range failed {
		verdict := map[string]string{"fail": "failed", "skip": "skipped, which shows nothing", "": "did not end"}[t.ended[id]]
		fmt.Fprintf(out, "\n---- %s %s: %s\n%s", id.Package, id.Name, verdict, t.output[id])
	}
	fmt.Fprintf(out, "\n%d passed, %d failed\n", len(passed), len(failed))
}
