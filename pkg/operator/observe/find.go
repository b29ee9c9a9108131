package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/order"
)

// Options say where to look. The zero Options are a host's usual places.
type Options struct {
	Netns    []string              // directories in which namespaces have names; nil: Directories
	Results  string                // where runtimes keep their results; empty: cache.Dir
	Configs  string                // where the networks' configurations are; empty: Configs
	Files    []*conflist.File      // the configurations, where they were read; nil: they are read
	DataDirs []string              // directories of host-local's reservations; nil: the default and those that the results name
	Progress func(done, total int) // called after each namespace; nil: not at all
	// Check is what the plugins' own CHECK says of an attachment that lives; nil where it could not be asked. A nil Check asks nobody, and what is
	// seen from outside has to do.
	Check func(context.Context, cache.Entry) *Verdict
}

// hostID is the identifier of the namespace that the reader is in.
const hostID = "netns/host"

// InodeOf returns the inode number of the network namespace that the process is in, by the process's number: 0 where there is no such process, and
// an error of the system where there is one that the caller may not look at.
func InodeOf(process string) (uint64, error) {
	if _, err := strconv.ParseUint(process, 10, 31); err != nil {
		return 0, nil
	}
	path := filepath.Join("/proc", process, "ns/net")
	if inode := netns.Number(path); inode != 0 {
		return inode, nil
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return 0, err // nil where it came meanwhile
	}
	return 0, nil
}

// directory collects namespaces, each once however many names it has.
type directory struct{ byInode map[uint64]*Namespace }

// find looks for namespaces: the reader's own, those that have names, those that results name, and those of processes.
func find(o Options, remembered []string) *directory {
	d := &directory{byInode: make(map[uint64]*Namespace)}
	// Of the calling thread: the process's first thread may have entered another namespace.
	if inode := netns.Number("/proc/thread-self/ns/net"); inode != 0 {
		d.byInode[inode] = &Namespace{ID: hostID, Name: "host", Inode: inode, Host: true}
	}
	for _, dir := range o.Netns {
		files, _ := os.ReadDir(dir) // one that is not there has none
		for _, file := range files {
			d.add(filepath.Join(dir, file.Name()))
		}
	}
	for _, path := range remembered {
		d.add(path)
	}
	d.addProcesses()
	return d
}

// add notes the path of a namespace, and nothing else.
func (d *directory) add(path string) {
	inode := netns.Number(path)
	if inode == 0 {
		return
	}
	n := d.namespace(inode, path)
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(real, filepath.Base(path)) // /var/run is /run on most hosts
	}
	if !strings.HasPrefix(path, "/proc/") && !slices.Contains(n.Paths, path) {
		n.Paths = append(n.Paths, path)
		if !n.Host && len(n.Paths) == 1 {
			n.Name = filepath.Base(path)
		}
	}
}

func (d *directory) namespace(inode uint64, path string) *Namespace {
	n := d.byInode[inode]
	if n == nil {
		n = &Namespace{ID: fmt.Sprintf("netns/%d", inode), Inode: inode, found: path}
		d.byInode[inode] = n
	}
	return n
}

// fewProcesses is how many processes are named for a namespace.
const fewProcesses = 5

// addProcesses looks at every process that may be looked at.
func (d *directory) addProcesses() {
	files, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range files {
		inode := netns.Number(path)
		if inode == 0 {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		n := d.namespace(inode, path)
		if n.Host || len(n.Processes) == fewProcesses {
			continue
		}
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may have ended
		n.Processes = append(n.Processes, Process{PID: pid, Command: strings.TrimSpace(string(command))})
		if n.Name == "" {
			n.Name = fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(command)))
		}
	}
}

// list returns the namespaces, the reader's own first, the others by name.
func (d *directory) list() []*Namespace {
	var list []*Namespace
	for _, n := range d.byInode {
		list = append(list, n)
	}
	order.By(list, func(a, b *Namespace) int {
		if a.Host != b.Host {
			return map[bool]int{true: -1, false: 1}[a.Host]
		}
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return list
}
