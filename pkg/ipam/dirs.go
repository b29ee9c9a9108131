package ipam

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	dirs := append(places(network), DefaultDir, named)
	slices.Sort(dirs)
	return slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "" })
}

// places are the remembered ones that are still there. Where the file cannot be read, nothing is remembered.
func places(network string) (dirs []string) {
	text, _ := procfile.Read(placesOf(network))
	for line := range strings.Lines(string(text)) {
		dir := strings.TrimSuffix(line, "\n")
		if _, err := os.Lstat(filepath.Join(dir, network)); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func placesOf(network string) string { return filepath.Join(run, network+".reservations") }

// Remember writes down that the network has reservations below dataDir.
func Remember(dataDir, network string) {
	if dataDir == DefaultDir || strings.Contains(dataDir, "\n") {
		return
	}
	dirs := places(network)
	if slices.Contains(dirs, dataDir) || os.MkdirAll(run, 0o755) != nil {
		return
	}
	file, err := os.CreateTemp(run, ".reservations-")
	if err != nil {
		return
	}
	_, err = file.WriteString(strings.Join(append(dirs, dataDir), "\n") + "\n")
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), placesOf(network))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
}
