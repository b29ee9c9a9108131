// Package reference finds the builds of containernetworking/plugins that ours are held against: the one that Debian has, whose files and rules are on nodes
// that come to us, and the one of today.
package reference

import (
	"os"
	"path/filepath"
	"testing"
)

// Build is a folder of the reference's binaries.
type Build struct {
	Version string
	Dir     string
}

// Debian is the package containernetworking-plugins of Debian 12.
var Debian = Build{"1.1.1", "/usr/lib/cni"}

// Newest is the release of today, as test/reference/build names it; `make reference` builds it.
var Newest = Build{"1.10.0", filepath.Join(top(), ".tools/reference")}

// Builds are all of them, the oldest first. One that is not there fails the test.
func Builds(t testing.TB) []Build {
	t.Helper()
	list := []Build{Debian, Newest}
	for _, b := range list {
		b.Need(t)
	}
	return list
}

// Need fails the test where the build is not there, and says how it gets there.
func (b Build) Need(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(b.Plugin("bridge")); err != nil {
		t.Fatalf("the reference's plugins %s are not here: make reference, and Debian's package containernetworking-plugins: %v", b.Version, err)
	}
}

// Plugin is the file of one of its plugins.
func (b Build) Plugin(name string) string { return filepath.Join(b.Dir, name) }

// top is the project's folder, from a test's own, which is somewhere below.
func top() string {
	dir, _ := os.Getwd()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "test/reference/build/go.mod")); err == nil {
			return dir
		}
	}
	return dir
}
