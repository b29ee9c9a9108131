package tool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/operator/known"
)

// Installation is a set of plugins' names in a runtime's directory, all of them links to one binary.
type Installation struct {
	Dir     string
	Names   []string // trestle is one of them
	Replace bool     // also where somebody else's plugin is
	Make    bool     // the directory, too, where there is none
}

const (
	self  = known.Runner        // the binary that the other names are links to
	aside = ".trestle-replaced" // directory of what was replaced
	next  = ".trestle-next"     // the name that a file has before it gets its own
)

func (i Installation) path(name ...string) string {
	return filepath.Join(append([]string{i.Dir}, name...)...)
}

// Install puts this binary and its names in place. Every name is renamed over in one step: whoever runs the old file goes on with it, and no
// call finds a name missing or a file that is being written. Where an installer was ended, the next one of either kind begins.
func (i Installation) Install() (did installAnswer, err error) {
	defer unix.Umask(unix.Umask(0o022)) // plugins are for all who run containers, be the installer's own files as private as they are
	dir, err := i.alone()
	if err != nil {
		return did, err
	}
	defer dir.Close()
	foreign, err := i.foreign()
	if err != nil {
		return did, err
	}
	if len(foreign) > 0 && !i.Replace {
		return did, fault.New(fault.Taken, "use --replace to put them aside", "%s: somebody else's: %s", i.Dir, strings.Join(foreign, ", "))
	}
	defer i.sweep()
	if err := errors.Join(i.sweep(), i.copySelf()); err != nil {
		return did, fault.New(fault.IO, "is the file system mounted, writable and not full?", "%w", err)
	}
	for _, name := range foreign {
		if err := i.keep(name); err != nil {
			return did, err
		}
	}
	for _, name := range i.Names {
		if name == self {
			continue
		}
		if err := i.put(name); err != nil {
			return did, err
		}
	}
	did = installAnswer{Directory: i.Dir, Installed: i.Names, Kept: foreign}
	if len(foreign) > 0 {
		did.Aside = i.path(aside)
	}
	return did, i.put(self) // last: links lead to it
}

// foreign lists the names under which there is something that is not ours. A link to nothing is somebody's.
func (i Installation) foreign() (names []string, err error) {
	for _, name := range i.Names {
		if _, err := os.Lstat(i.path(name)); err == nil && !ours(i.path(name)) {
			names = append(names, name)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return names, nil
}

// alone opens the directory, one installer at a time: what one has half written, another would give a plugin's name.
func (i Installation) alone() (*os.File, error) {
	if i.Make {
		if err := os.MkdirAll(i.Dir, 0o755); err != nil {
			return nil, err
		}
	}
	dir, err := os.OpenFile(i.Dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.New(fault.Config, "mkdir -p "+i.Dir+", if that is where the runtime looks for plugins", "%w", err)
	}
	if err == nil {
		err = filelock.Wait(context.Background(), func() error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX) }, func() { dir.Close() })
	}
	return dir, err
}

// sweep removes what an installation has not finished.
func (i Installation) sweep() error {
	files, err := os.ReadDir(i.Dir)
	for _, f := range files {
		if strings.HasPrefix(f.Name(), next) {
			err = errors.Join(err, os.Remove(i.path(f.Name())))
		}
	}
	return err
}

// ours says whether the file is a binary of this suite, all plugins in one or a single one: Go writes into each of which module it is.
func ours(path string) bool {
	own, known := debug.ReadBuildInfo()
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	module := mainModule(file)
	return known && module != "" && module == own.Main.Path
}

func (i Installation) copySelf() error {
	in, err := os.Open("/proc/self/exe")
	if errors.Is(err, fs.ErrNotExist) { // a system that is not running yet, in which a package is installed
		in, err = os.Open(os.Args[0])
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(i.path(next), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// keep links a file into the directory of what was replaced, where uninstall finds it. The file itself stays until it is renamed over. What was
// kept before gives way, if it is older: rpm knows no diversions, so an upgrade of theirs takes its names back.
func (i Installation) keep(name string) error {
	if err := os.MkdirAll(i.path(aside), 0o755); err != nil || later(i.path(aside, name), i.path(name)) {
		return err
	}
	step := i.path(next + "=" + name)
	if err := os.Link(i.path(name), step); err != nil {
		return err
	}
	return os.Rename(step, i.path(aside, name))
}

// later says whether a file was put in its place after another. Its bytes may be older than that: packages keep the times of what they bring.
func later(path, than string) bool {
	var one, other unix.Stat_t
	return unix.Lstat(path, &one) == nil && unix.Lstat(than, &other) == nil && one.Ctim.Nano() > other.Ctim.Nano()
}

// put gives the new binary one of its names: a hard link or, where the file system has none, a symbolic link to the binary's own name.
func (i Installation) put(name string) error {
	step := i.path(next + "-" + name)
	err := os.Link(i.path(next), step)
	if err != nil && name != self {
		err = os.Symlink(self, step)
	} else if err != nil {
		err = os.Rename(i.path(next), step)
	}
	if err != nil {
		return err
	}
	return os.Rename(step, i.path(name))
}

// Uninstall takes our names away and puts back what they replaced. Where there are none, there is nothing to do: who removes them from every node
// of a cluster meets the same one twice.
func (i Installation) Uninstall() (did installAnswer, err error) {
	dir, err := i.alone()
	if err != nil {
		return did, err
	}
	defer dir.Close()
	did.Directory = i.Dir
	names, err := i.every()
	errs := []error{i.sweep(), err}
	for _, name := range names {
		errs = append(errs, i.restore(name, &did))
	}
	if err := os.Remove(i.path(aside)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return did, errors.Join(errs...)
}

// every lists the names that may be ours, those of another version among them, and those of what was put aside. The binary's own is last: links
// lead to it.
func (i Installation) every() (names []string, err error) {
	for _, dir := range []string{i.Dir, i.path(aside)} {
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, f := range files {
			if name := f.Name(); !f.IsDir() && name != self && !strings.HasPrefix(name, next) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return append(names, self), nil
}

// restore gives a name back. Where it is somebody else's by now, what they put there last is theirs: by that name, or diverted to where it was kept.
func (i Installation) restore(name string, did *installAnswer) error {
	live, kept := i.path(name), i.path(aside, name)
	_, err := os.Lstat(live)
	gone := errors.Is(err, fs.ErrNotExist)
	if !gone && !ours(live) && !later(kept, live) {
		err = os.Remove(kept)
	} else if err = os.Rename(kept, live); err == nil {
		did.Restored = append(did.Restored, name)
	} else if !gone && errors.Is(err, fs.ErrNotExist) {
		did.Removed = append(did.Removed, name)
		err = os.Remove(live)
	}
	if errors.Is(err, fs.ErrNotExist) { // nothing was kept
		return nil
	}
	return err
}
