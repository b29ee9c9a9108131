// Package sum adds up what `go test -json` says of tests, and prints what a failed one said when it fails. A skipped test has shown nothing, so it counts as
// failed.
package sum

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	out    io.Writer
	output map[test]*strings.Builder // of what has not ended
	order  []test                    // as they began to speak
	parent map[test]bool             // has subtests
	blamed map[test]bool             // of its subtests or, for a package, its tests one was printed
	builds map[string]*strings.Builder
	passed int
	failed []test
	spent  map[test]float64
}

// New returns a tally that has heard nothing; it prints to out.
func New(out io.Writer) *Tally {
	return &Tally{out: out, output: make(map[test]*strings.Builder), parent: make(map[test]bool), blamed: make(map[test]bool),
		builds: make(map[string]*strings.Builder), spent: make(map[test]float64)}
}

// Read takes events until the stream ends. The label, if any, stands before each package's name.
func (t *Tally) Read(events io.Reader, label string) error {
	decoder := json.NewDecoder(events)
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		e.Package = label + e.Package
		t.take(e)
	}
}

func (t *Tally) take(e event) {
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
		if e.FailedBuild != "" {
			t.say(id, t.builds[e.FailedBuild].String())
		}
		if e.Test == "" {
			t.endPackage(e, id)
		} else {
			t.end(id, e)
		}
		delete(t.output, id)
	}
}

func (t *Tally) say(id test, text string) {
	if t.output[id] == nil {
		t.output[id] = new(strings.Builder)
		t.order = append(t.order, id)
		for i, c := range id.Name {
			if c == '/' {
				t.parent[test{id.Package, id.Name[:i]}] = true
			}
		}
	}
	t.output[id].WriteString(text)
}

// end counts the tests without subtests, and those that failed where none of their subtests did.
func (t *Tally) end(id test, e event) {
	action := e.Action
	if !t.parent[id] {
		t.spend(id, e.Elapsed)
	}
	switch {
	case action == "pass" && !t.parent[id]:
		t.passed++
	case action == "fail" && !t.blamed[id]:
		t.blame(id, "failed")
	case action == "skip":
		t.blame(id, "skipped, which shows nothing")
	}
}

// endPackage prints the package's line, and blames it where none of its tests failed (a build error, a panic), or those that had not ended. A package
// without test files is "skipped" and of no interest.
func (t *Tally) endPackage(e event, id test) {
	spoke := false
	for _, other := range t.order {
		spoke = spoke || other.Package == id.Package && other.Name != ""
		if other.Package == id.Package && other.Name != "" && t.output[other] != nil && !t.blamed[other] && !t.parent[other] {
			t.blame(other, "did not end")
		}
	}
	if e.Action == "fail" && !t.blamed[id] {
		t.blame(id, "failed")
	}
	if e.Action != "skip" || spoke {
		fmt.Fprintf(t.out, "%-4s  %-60s %7.2fs\n", e.Action, e.Package, e.Elapsed)
	}
}

// blame prints what a test said, now: nobody has to wait for the rest to learn what happened, nor run the tests again.
func (t *Tally) blame(id test, verdict string) {
	t.failed = append(t.failed, id)
	t.blamed[test{id.Package, ""}] = true
	for i, c := range id.Name {
		if c == '/' {
			t.blamed[test{id.Package, id.Name[:i]}] = true
		}
	}
	said := ""
	if t.output[id] != nil {
		said = t.output[id].String()
	}
	fmt.Fprintf(t.out, "\n---- %s %s: %s\n%s\n", id.Package, id.Name, verdict, said)
}

// Count says how many tests passed and failed.
func (t *Tally) Count() (passed, failed int) { return t.passed, len(t.failed) }

// Report prints what took long, the names of what failed, and the sum.
func (t *Tally) Report() {
	t.reportSpent()
	for _, id := range t.failed {
		fmt.Fprintf(t.out, "\n---- %s %s", id.Package, id.Name)
	}
	fmt.Fprintf(t.out, "\n%d passed, %d failed\n", t.passed, len(t.failed))
}
