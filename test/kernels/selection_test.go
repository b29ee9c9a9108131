package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// silent are the scripts about what the tool says, and firewalld's, which waits for that more than for the kernel.
const silent = "firewalld|last|lint|migration|network|pods|show|told"

// TestEveryScriptHasItsPlace asks that each script is run in one part of the whole, or is one of those that a kernel cannot change.
func TestEveryScriptHasItsPlace(t *testing.T) {
	files, err := filepath.Glob("../e2e/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	places := map[string]string{"none: a kernel does not change it": silent}
	for _, b := range whole {
		if b.scripts != "" {
			places[b.name] = b.scripts
		}
	}
	for _, file := range files {
		name, in := strings.TrimSuffix(filepath.Base(file), ".txtar"), []string{}
		for place, scripts := range places {
			if regexp.MustCompile("^(" + scripts + ")$").MatchString(name) {
				in = append(in, place)
			}
		}
		if len(in) != 1 {
			t.Errorf("%s has %d places, %q: give it one in selection.go", name, len(in), in)
		}
	}
}

// byHand are tests for these kernels alone that CI does not run.
var byHand = map[string]string{
	"TestCnitool":   "cnitool's checks, which make test-runtimes runs",
	"TestDropCosts": "a measurement",
}

// TestSelectionHasWhatIsRunHereAlone: what `make test` cannot run CI runs on one of these kernels, and the whole all of it, but for the tests of this folder, which the
// Makefile runs beside them.
func TestSelectionHasWhatIsRunHereAlone(t *testing.T) {
	count := 0
	for file, text := range tagged(t) {
		folder := "./" + strings.TrimPrefix(filepath.Dir(file), "../../")
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(text, -1) {
			name := found[1]
			count++
			if has(selection, folder, name) == (byHand[name] != "") {
				t.Errorf("%s: %s: CI runs it, or does not: see selection, and byHand here", file, name)
			}
			if !has(whole, folder, name) {
				t.Errorf("%s: %s: has no place in the whole", file, name)
			}
		}
	}
	if count < 10 {
		t.Errorf("found %d tests for these kernels alone, expected more", count)
	}
}

// tagged are the files of tests that are run on these kernels alone, other than this folder's own.
func tagged(t *testing.T) map[string]string {
	files := make(map[string]string)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == ".tools"):
			return filepath.SkipDir
		case err != nil || !strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == "../../test/kernels":
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "//go:build "+tag+"\n") {
			files[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// has says whether one of the batches runs the test, or parts of it.
func has(batches []batch, folder, name string) bool {
	return slices.ContainsFunc(batches, func(b batch) bool {
		packages := slices.Contains(b.packages, folder)
		return packages && regexp.MustCompile(tests(b.run)).MatchString(name) && (b.skip == "" || !regexp.MustCompile(b.skip).MatchString(name))
	})
}

// tests is what stands in a pattern for tests themselves, less what it has for their parts, which comes after a slash.
func tests(pattern string) string {
	var kept strings.Builder
	depth, part := 0, false
	for _, r := range pattern {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0 && (r == '/' || r == '|'):
			part = r == '/'
		}
		if !part {
			kept.WriteRune(r)
		}
	}
	return kept.String()
}
