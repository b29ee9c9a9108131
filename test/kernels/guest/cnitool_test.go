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
// is said of bad input.
func TestCnitool(t *testing.T) {
	programs := os.Getenv(built.Outside)
	work := filepath.Join(programs, "runtimes")
	out, err := exec.Command(filepath.Join(work, "runtimes"), "-work", work, "-plugins", filepath.Join(programs, "cmd"), "-skip", "bad input", "cnitool").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
