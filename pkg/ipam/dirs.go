package ipam

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// DefaultDir is where the reference keeps its reservations, and we where the configuration names no other place.
const DefaultDir = "/var/lib/cni/networks"

// run has a file for each network that had its reservations elsewhere, with a line for each such place. It need not outlive a boot, as no container does,
// and where it is lost there are still the place that the configuration names, and the default.
const run = "/run/cni/trestle"

// Dirs are the data directories in which a network's reservations may be, whatever its configuration says today: the one that it names, the default,
// and those that it named when an address was reserved.
func Dirs(network, named string) []string {
	dirs := []string{DefaultDir, named}
	text, _ := procfile.Read(placesOf(network)) // where that cannot be read, nothing is remembered
	for line := range strings.Lines(string(text)) {
		if dir, whole := strings.CutSuffix(line, "\n"); whole {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "" })
}

func placesOf(network string) string { return filepath.Join(run, network+".reservations") }

// Remember writes down that the network has reservations below dataDir.
func Remember(dataDir, network string) {
	if dataDir == DefaultDir || strings.Contains(dataDir, "\n") || slices.Contains(Dirs(network, ""), dataDir) {
		return
	}
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | unix.O_NOFOLLOW
	file, err := os.OpenFile(placesOf(network), flags, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(run, 0o755); err == nil {
			file, err = os.OpenFile(placesOf(network), flags, 0o600)
		}
	}
	if err == nil {
		_, _ = file.WriteString(dataDir + "\n") // half a line is none
		_ = file.Close()
	}
}
