package doctor

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestPage holds that docs/doctor.md has a section for each check, with its severity, and no other.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, c := range Checks() {
		if seen[c.ID] {
			t.Errorf("%s: twice", c.ID)
		}
		seen[c.ID] = true
		word := map[Severity]string{Error: "Error", Warning: "Warning"}[c.Severity]
		if want := fmt.Sprintf("\n### %s\n\n%s. ", c.ID, word); !strings.Contains(string(text), want) {
			t.Errorf("docs/doctor.md has no %q", want)
		}
		for _, id := range c.covered {
			if !strings.Contains(string(text), "\n### "+id+"\n") {
				t.Errorf("%s is covered by %s, which is no check", c.ID, id)
			}
		}
	}
	if sections := strings.Count(string(text), "\n### "); sections != len(seen) {
		t.Errorf("docs/doctor.md has %d sections for %d checks", sections, len(seen))
	}
}

func TestStatus(t *testing.T) {
	for want, list := range [][]Finding{nil, {{Severity: Warning}}, {{Severity: Warning}, {Severity: Error}}} {
		if got := Status(list); got != want {
			t.Errorf("%v: %d, want %d", list, got, want)
		}
	}
}
