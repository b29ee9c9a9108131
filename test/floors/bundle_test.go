package floors

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// largestBundle is what one file with the whole suite in it may take on a node, in bytes.
const largestBundle = 10_000_000

// TestBundleIsSmall builds the bundle as the Makefile does.
func TestBundleIsSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trestle")
	cmd := exec.Command("go", "build", "-trimpath", "-gcflags", "github.com/trestle-cni/trestle/pkg/operator/...=-l", "-ldflags", "-s -w", "-o", file, "../../cmd/trestle")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", info.Size())
	if info.Size() > largestBundle {
		t.Errorf("cmd/trestle: %d bytes, more than %d", info.Size(), largestBundle)
	}
}
