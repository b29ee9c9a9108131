package floors

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// largestBundle is what one file with the whole suite in it may take on a node, in bytes.
const largestBundle = 10_000_000

// TestBundleIsSmall builds the bundle as the Makefile does.
func TestBundleIsSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trestle")
	text, err := os.ReadFile("../../cmd/uninlined")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", file}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			args = append(args, "-gcflags", strings.TrimSpace(line)+"=-l")
		}
	}
	cmd := exec.Command("go", append(args, "../../cmd/trestle")...)
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
