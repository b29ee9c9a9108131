package main

import (
	"path/filepath"
	"regexp"
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
