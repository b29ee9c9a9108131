// Package cache reads what runtimes remember of their ADDs: libcni's files of results, one an attachment, with everything that a later
// CHECK, DEL or repair of it needs. It writes nothing; the files are the runtimes'.
package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Dir is where libcni keeps the files unless a runtime says otherwise (CacheDir in libcni/api.go).
const Dir = "/var/lib/cni/results"

// kind marks the files (CNICacheV1 in libcni/api.go). Older ones hold the bare result, and tell neither whose it is nor of which network.
const kind = "cniCacheV1"

// Entry is one attachment as its runtime made it.
type Entry struct {
	File         string // its path
	Network      string
	ContainerID  string
	IfName       string
	Netns        string                     // as it was given to the plugins, or as the result has it: older versions of libcni (containerd 1.6's) write no more
	Args         string                     // CNI_ARGS
	List         json.RawMessage            // the conflist, or the configuration of a single plugin
	Capabilities map[string]json.RawMessage // capability arguments, as the runtime gave them
	Result       json.RawMessage            // of the last plugin
}

// record is a file's content.
type record struct {
	Kind, ContainerID, IfName, NetworkName, Netns string
	Config                                        []byte
	CniArgs                                       [][2]string
	CapabilityArgs                                map[string]json.RawMessage
	Result                                        json.RawMessage
}

// Read reads all entries of the directory in the order of their names. A file that is none of libcni's, is torn, or cannot be read is left
// out, and the joined errors name each such file and the cause. No directory means no entries.
func Read(dir string) ([]Entry, error) {
	return read(dir, "")
}

// Of reads the entries of one container; an empty network stands for all. Files that cannot be read are left out.
func Of(dir, network, container string) []Entry {
	var own []Entry
	entries, _ := read(dir, "-"+container+"-") // what is not read proves nothing, and that is how it is taken
	for _, e := range entries {
		if e.ContainerID == container && (network == "" || e.Network == network) {
			own = append(own, e)
		}
	}
	return own
}

// Remembers says whether a runtime remembers a network namespace of the attachment that is still there: then its container may live, whatever became of
// its links. A result that cannot be read may be of such a one. A text that was cut short stands for all that begin with it.
func Remembers(dir, text string, is func(Entry) bool) bool {
	entries, err := read(dir, strings.ReplaceAll(text, "/", "-")) // as libcni names the files
	return err != nil || slices.ContainsFunc(entries, func(e Entry) bool { return is(e) && e.Lives() })
}

// Lives says whether the network namespace that the runtime gave is there, and is a container's. One that cannot be looked at may be.
func (e Entry) Lives() bool {
	var there, own unix.Stat_t
	var system unix.Statfs_t
	switch err := errors.Join(unix.Stat(e.Netns, &there), unix.Statfs(e.Netns, &system)); {
	case e.Netns == "", errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return false
	case err != nil:
		return true
	case system.Type != unix.NSFS_MAGIC && system.Type != unix.PROC_SUPER_MAGIC: // a mount point left over
		return false
	}
	// The path of a process whose number is one of the host's by now.
	return unix.Stat("/proc/thread-self/ns/net", &own) != nil || there.Dev != own.Dev || there.Ino != own.Ino
}

func read(dir, part string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cached results: %w", err)
	}
	var entries []Entry
	var errs []error
	for _, file := range files {
		if !strings.Contains(file.Name(), part) {
			continue
		}
		e, err := readFile(filepath.Join(dir, file.Name()))
		switch {
		case err == nil:
			entries = append(entries, e)
		case !errors.Is(err, fs.ErrNotExist): // a DEL has just removed it
			errs = append(errs, fmt.Errorf("cached result %s: %w", filepath.Join(dir, file.Name()), err))
		}
	}
	return entries, errors.Join(errs...)
}

func readFile(path string) (Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Entry{}, err
	}
	if !info.Mode().IsRegular() {
		return Entry{}, errors.New("not a regular file")
	}
	data, err := plainfile.Read(path)
	if err != nil {
		return Entry{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Entry{}, err
	}
	if r.Kind != kind {
		return Entry{}, fmt.Errorf("kind %q: not %s", r.Kind, kind)
	}
	if r.NetworkName == "" || r.ContainerID == "" || r.IfName == "" {
		return Entry{}, errors.New("no network, container or interface named")
	}
	e := Entry{File: path, Network: r.NetworkName, ContainerID: r.ContainerID, IfName: r.IfName, Netns: r.Netns, Args: arguments(r.CniArgs),
		List: r.Config, Capabilities: r.CapabilityArgs, Result: r.Result}
	if e.Netns == "" {
		e.Netns = e.sandbox()
	}
	return e, nil
}

// arguments writes the pairs as CNI_ARGS has them.
func arguments(pairs [][2]string) string {
	var texts []string
	for _, pair := range pairs {
		texts = append(texts, pair[0]+"="+pair[1])
	}
	return strings.Join(texts, ";")
}

// Pod is the name that a runtime of Kubernetes gave in CNI_ARGS, as namespace/name; of podman the container's alone. Empty: none.
func (e Entry) Pod() string { return PodOf(e.Args) }

// PodOf is that of the value of CNI_ARGS.
func PodOf(args string) string {
	var namespace, name string
	for pair := range strings.SplitSeq(args, ";") {
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "K8S_POD_NAMESPACE":
			namespace = value + "/"
		case "K8S_POD_NAME":
			name = value
		}
	}
	if name == "" {
		return ""
	}
	return namespace + name
}

// HostLinks returns the host's ends of the veth pairs in the result.
func (e Entry) HostLinks() (names []string) {
	for _, l := range e.links() {
		if l.Sandbox == "" && strings.HasPrefix(l.Name, "veth") {
			names = append(names, l.Name)
		}
	}
	return names
}

// link is an interface of a result.
type link struct{ Name, Sandbox string }

// links are those of the result; one that cannot be read names none, as those before 0.3.0 do.
func (e Entry) links() []link {
	var result struct{ Interfaces []link }
	_ = json.Unmarshal(e.Result, &result)
	return result.Interfaces
}

// sandbox returns the path of the namespace that the result's interfaces are in: all those of one container are in one. A virtual machine's
// has an identifier there, which is no path.
func (e Entry) sandbox() string {
	for _, l := range e.links() {
		if filepath.IsAbs(l.Sandbox) {
			return l.Sandbox
		}
	}
	return ""
}
