package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/owner"
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
// call finds a name missing or a file that is being written.
func (i Installation) Install() (did installAnswer, err error) {
	if i.Make {
		if err := os.MkdirAll(i.Dir, 0o755); err != nil {
			return did, err
		}
	}
	foreign, err := i.foreign()
	if err != nil {
		return did, err
	}
	if len(foreign) > 0 && !i.Replace {
		return did, fault.New(fault.Taken, "use --replace to put them aside", "%s: somebody else's: %s", i.Dir, strings.Join(foreign, ", "))
	}
	if err := i.copySelf(); err != nil {
		return did, err
	}
	defer os.Remove(i.path(next))
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
func (i Installation) foreign() ([]string, error) {
	info, err := os.Stat(i.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.New(fault.Config, "mkdir -p "+i.Dir+", if that is where the runtime looks for plugins", "%w", err)
	}
	if err != nil || !info.IsDir() {
		return nil, errors.Join(err, notDirectory(i.Dir, info))
	}
	var names []string
	for _, name := range i.Names {
		if _, err := os.Lstat(i.path(name)); err == nil && !ours(i.path(name)) {
			names = append(names, name)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return names, nil
}

func notDirectory(path string, info fs.FileInfo) error {
	if info == nil {
		return nil
	}
	return fault.New(fault.Config, "", "%s: not a directory", path)
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
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Remove(i.path(next)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(i.path(next), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// keep links a file into the directory of what was replaced, where uninstall finds it. The file itself stays until it is renamed over.
func (i Installation) keep(name string) error {
	if err := os.MkdirAll(i.path(aside), 0o755); err != nil {
		return err
	}
	err := os.Link(i.path(name), i.path(aside, name))
	if errors.Is(err, fs.ErrExist) { // kept by an earlier installation, and the older one is the original
		return nil
	}
	return err
}

// put gives the new binary one of its names: a hard link or, where the file system has none, a symbolic link to the binary's own name.
func (i Installation) put(name string) error {
	step := i.path(next + "-" + name)
	if err := os.Remove(step); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
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
	if info, err := os.Stat(i.Dir); err != nil || !info.IsDir() {
		return did, errors.Join(err, notDirectory(i.Dir, info))
	}
	did.Directory = i.Dir
	names, err := i.every()
	if err != nil {
		return did, err
	}
	var errs []error
	for _, name := range names {
		if name != self && ours(i.path(name)) { // else it is gone, or somebody else's by now
			errs = append(errs, i.restore(name, &did))
		}
	}
	if ours(i.path(self)) { // last: links lead to it
		errs = append(errs, i.restore(self, &did))
	}
	if err := os.Remove(i.path(aside)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return did, errors.Join(errs...)
}

// every lists the names that may be ours, those of another version among them.
func (i Installation) every() (names []string, err error) {
	files, err := os.ReadDir(i.Dir)
	for _, f := range files {
		if f.Type().IsRegular() || f.Type()&fs.ModeSymlink != 0 {
			names = append(names, f.Name())
		}
	}
	return names, err
}

func (i Installation) restore(name string, did *installAnswer) error {
	err := os.Rename(i.path(aside, name), i.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		did.Removed = append(did.Removed, name)
		return os.Remove(i.path(name))
	}
	if err == nil {
		did.Restored = append(did.Restored, name)
	}
	return err
}

// noneAttached fails while this host has something that our plugins made and nobody else's could delete: links, rules for a container, ports
// of one that another main plugin attached.
func noneAttached(ctx context.Context) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	owners := make(map[owner.ID]string)
	for _, link := range links {
		if o, ok := owner.Parse(link.Attrs().Alias); ok {
			owners[o.ID] = o.Text
		}
	}
	filter := host.Open(host.Choice{})
	defer filter.Close()
	for _, role := range firewall.Roles() {
		holders, err := filter.Owners(ctx, role, [8]byte{})
		if err != nil {
			return fmt.Errorf("packet filter: %w", err)
		}
		for _, h := range holders {
			owners[h.ID] = h.Text
		}
	}
	if len(owners) == 0 {
		return nil
	}
	return fault.New(fault.Taken, "delete those containers first (drain the node); what no container is left for goes with a GC of its network",
		"%d attachments are of these plugins, as %s", len(owners), slices.Min(slices.Collect(maps.Values(owners))))
}
