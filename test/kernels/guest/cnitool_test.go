//go:build kernels

package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/test/built"
)

// TestCnitool holds what test/runtimes asks of every runtime, as far as libcni's own program can: the other runtimes are the same on any kernel, and so is what
// is said of bad input. The longest check is on a host beside that of the others.
func TestCnitool(t *testing.T) {
	programs := os.Getenv(built.Outside)
	for name, checks := range map[string][]string{"adoption": {"-only", "adoption"}, "all-else": {"-skip", "adoption|bad input"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := filepath.Join(t.TempDir(), "work")
			if err := os.CopyFS(work, os.DirFS(filepath.Join(programs, "runtimes"))); err != nil {
				t.Fatal(err)
			}
			arguments := append([]string{"-work", work, "-plugins", filepath.Join(programs, "cmd")}, checks...)
			out, err := exec.Command(filepath.Join(work, "runtimes"), append(arguments, "cnitool")...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
