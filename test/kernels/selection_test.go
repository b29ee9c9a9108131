package main

import (
	"path/filepath"
	"regexp"
	"runtime"
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

// TestProcessors asks that the machines together have no more processors than there are, and each one.
func TestProcessors(t *testing.T) {
	for kernels := 1; kernels < 5; kernels++ {
		got := order{series: make([]string, kernels)}.processors()
		if got < 1 || got > 2 || got > 1 && got*kernels > runtime.NumCPU() {
			t.Errorf("%d kernels: %d processors each of %d", kernels, got, runtime.NumCPU())
		}
	}
}
