//go:build kernels

// Package guest has the tests that are run in the kernels of test/kernels alone: what they ask for, the kernel below `make test` need not have.
package guest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernel asks that the tests run where they are said to run.
func TestKernel(t *testing.T) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release, series := unix.ByteSliceToString(name.Release[:]), os.Getenv("TRESTLE_KERNEL")
	if series == "" || !strings.HasPrefix(release, series+".") {
		t.Errorf("this is %s, want the series %q", release, series)
	}
}
