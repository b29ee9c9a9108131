package doctor

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
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
		word := map[Severity]string{Error: "Error", Warning: "Warning", Note: "Note"}[c.Severity]
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

// TestAges holds that docs/kernels.md and doctor tell of the same things that a kernel may lack, and since when they are there.
func TestAges(t *testing.T) {
	text, err := os.ReadFile("../../../docs/kernels.md")
	if err != nil {
		t.Fatal(err)
	}
	if rows := regexp.MustCompile(`(?m)^\| [^|]+ \| [0-9]+\.[0-9]+ \| `).FindAll(text, -1); len(rows) != len(ages) {
		t.Errorf("docs/kernels.md has %d features, doctor %d: %q", len(rows), len(ages), rows)
	}
	for _, a := range ages {
		if row := fmt.Sprintf("\n| %s | %d.%d | ", a.feature, a.since[0], a.since[1]); !strings.Contains(string(text), row) {
			t.Errorf("docs/kernels.md has no row %q", row)
		}
	}
	for release, want := range map[string]string{"4.19.0-27-amd64": "kernel-old", "5.10.0-39-amd64": "kernel-age", "6.12.117+deb12-amd64": "kernel-age",
		"6.18.4": "", "7.0.0-rc1": "", "": "", "strange": ""} {
		got := ""
		for _, f := range (&Picture{Host: &observe.Host{Namespaces: []*observe.Namespace{{}}}, Release: release}).Examine() {
			got = f.ID
		}
		if got != want {
			t.Errorf("%q: %q, want %q", release, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for want, list := range [][]Finding{{{Severity: Note}}, {{Severity: Note}, {Severity: Warning}}, {{Severity: Warning}, {Severity: Error}}} {
		if got := Status(list); got != want {
			t.Errorf("%v: %d, want %d", list, got, want)
		}
	}
}
