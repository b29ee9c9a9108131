package floors

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/test/built"
)

// What one file with the whole suite in it may take on a node, in bytes, and what the plugins may together as files of their own, as those of the reference,
// version 1.10.0, do.
const (
	largestBundle = 10_000_000
	largestSuite  = 77_000_000
)

// TestBinariesAreSmall builds all as the Makefile does.
func TestBinariesAreSmall(t *testing.T) {
	dir := t.TempDir()
	flags, err := built.Flags()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", dir}, flags, []string{"../../cmd/..."})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var bundle, plugins int64
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", f.Name(), info.Size())
		if f.Name() == "trestle" {
			bundle = info.Size()
		} else {
			plugins += info.Size()
		}
	}
	if bundle > largestBundle || plugins > largestSuite || len(files) < 19 {
		t.Errorf("trestle: %d bytes, %d plugins: %d; want %d and %d at the most, of eighteen", bundle, len(files)-1, plugins, largestBundle, largestSuite)
	}
}
