// Package places remembers in which directories a network has files that its configuration put elsewhere than by default, since a DEL and a GC must find them
// whatever the configuration says by then.
package places

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// Run has a file for each network that had such files elsewhere, with a line for each such place. It need not outlive a boot, as no container does,
// and where it is lost there are still the place that the configuration names, and the default.
const Run = "/run/cni/trestle"

// Kind is one kind of files.
type Kind struct {
	Name    string                         // how the file in Run ends
	Default string                         // where they are unless a configuration says otherwise
	There   func(dir, network string) bool // whether a remembered directory may still have some
}

// Dirs are the directories in which a network's files may be, whatever its configuration says today: the one that it names, the default, and those
// that it named when a file was written.
func (k Kind) Dirs(network, named string) []string {
	dirs := append(k.remembered(network), k.Default, named)
	slices.Sort(dirs)
	return slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "" })
}

// remembered are those that are still there. Where the file cannot be read, nothing is remembered.
func (k Kind) remembered(network string) (dirs []string) {
	text, _ := procfile.Read(k.file(network))
	for line := range strings.Lines(string(text)) {
		if dir := strings.TrimSuffix(line, "\n"); k.There(dir, network) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// All are the directories of every network: the default, and all that are remembered.
func (k Kind) All() []string {
	dirs := []string{k.Default}
	files, _ := filepath.Glob(k.file("*")) // the pattern is a good one
	for _, file := range files {
		dirs = append(dirs, k.remembered(strings.TrimSuffix(filepath.Base(file), "."+k.Name))...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func (k Kind) file(network string) string { return filepath.Join(Run, network+"."+k.Name) }

// Remember writes down that the network has files in the directory.
func (k Kind) Remember(dir, network string) {
	if dir == k.Default || strings.Contains(dir, "\n") {
		return
	}
	dirs := k.remembered(network)
	if slices.Contains(dirs, dir) || os.MkdirAll(Run, 0o755) != nil {
		return
	}
	file, err := os.CreateTemp(Run, "."+k.Name+"-")
	if err != nil {
		return
	}
	_, err = file.WriteString(strings.Join(append(dirs, dir), "\n") + "\n")
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), k.file(network))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
}
