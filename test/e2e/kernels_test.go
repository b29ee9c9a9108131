//go:build kernels

package e2e

import (
	"path/filepath"
	"testing"
)

// TestKernelScripts runs the scripts of what the kernel below `make test` need not have; `make test-kernels` boots those that do.
func TestKernelScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/kernels/*.txtar")
	must(t, err)
	for _, file := range files {
		t.Run(named(file), func(t *testing.T) {
			t.Parallel()
			script(t, file, setup)
		})
	}
}
