package conflist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/version"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Complaint is one thing that is wrong, and where. A line of 0 is about the whole file.
type Complaint struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

func (c Complaint) String() string {
	if c.Line == 0 {
		return c.File + ": " + c.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", c.File, c.Line, c.Column, c.Text)
}

// File is one configuration: a list of plugins, or a single one, which runtimes take for a list of one.
type File struct {
	Path       string
	Name       string // of the network
	CNIVersion string
	Plugins    []*Plugin
	Root       *Node // nil where it is not JSON
	List       *Node // the list of plugins; nil where the whole is a single one
	Complaints []Complaint
}

// Plugin is one plugin of a list.
type Plugin struct {
	Type string
	IPAM string // the type of its address plugin; empty: none
	Node *Node
}

// Stdin stands for a configuration that has no file's name.
const Stdin = "-"

// Load reads the directory's configurations as runtimes do, in the order of their names. No directory means none. Each file's complaints are
// its own; the error is that of the directory.
func Load(dir string) ([]*File, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configurations: %w", err)
	}
	var files []*File
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if entry.IsDir() || !slices.Contains([]string{".conflist", ".conf", ".json"}, filepath.Ext(path)) {
			continue
		}
		data, err := plainfile.Read(path)
		if err != nil {
			files = append(files, &File{Path: path, Complaints: []Complaint{{File: path, Text: err.Error()}}})
			continue
		}
		files = append(files, Parse(path, data))
	}
	return files, nil
}

// Parse reads one configuration. What is wrong is among its complaints.
func Parse(path string, data []byte) *File {
	f := &File{Path: path}
	root, bad := parse(data)
	if bad != nil {
		line, column := position(data, bad.offset)
		f.Complaints = []Complaint{{path, line, column, bad.Error()}}
		return f
	}
	f.Root = root
	if root.Kind != Object {
		f.complain(root, "a configuration is an object, not %s %s", article(root.Kind), root.Kind)
		return f
	}
	f.header()
	switch list := root.Get("plugins"); {
	case list != nil && (root.Get("type") == nil || f.inList()): // the plugin trestle has a list of its own
		f.List = list
		f.list(list)
	case f.inList() && root.Get("type") != nil:
		f.complain(root, "plugins: missing: a file that ends in .conflist has a list of plugins")
	default:
		f.plugin(root)
	}
	return f
}

// inList says whether the file is, by its name, one in which runtimes look for a list.
func (f *File) inList() bool { return filepath.Ext(f.Path) == ".conflist" }

func article(k Kind) string {
	if k == Array || k == Object {
		return "an"
	}
	return "a"
}

func (f *File) complain(n *Node, format string, args ...any) {
	f.Complaints = append(f.Complaints, Complaint{f.Path, n.Line, n.Column, fmt.Sprintf(format, args...)})
}

// text returns a string, and complains of what is none.
func (f *File) text(n *Node, key string) string {
	if n == nil || n.Kind == Null {
		return ""
	}
	if n.Kind != String {
		f.complain(n, "%s: must be a string, not %s %s", key, article(n.Kind), n.Kind)
		return ""
	}
	return n.Text
}

// header reads what is said of the network as a whole.
func (f *File) header() {
	name := f.Root.Get("name")
	f.Name = f.text(name, "name")
	switch {
	case name == nil || name.Kind == Null:
		f.complain(f.Root, "name: missing")
	case name.Kind == String:
		if !owner.ValidName(f.Name) {
			f.complain(name, "name: %q: must begin with a letter or digit, and have letters, digits, _ . - alone", f.Name)
		}
	}
	v := f.Root.Get("cniVersion")
	f.CNIVersion = f.text(v, "cniVersion")
	if v != nil && v.Kind == String && f.CNIVersion != "" && !slices.Contains(version.All.SupportedVersions(), f.CNIVersion) {
		f.complain(v, "cniVersion: %q: runtimes know %s", f.CNIVersion, strings.Join(version.All.SupportedVersions(), ", "))
	}
	if check := f.Root.Get("disableCheck"); check != nil && check.Kind != Bool && check.Text != "true" && check.Text != "false" {
		f.complain(check, "disableCheck: must be true or false")
	}
}

func (f *File) list(list *Node) {
	switch {
	case list.Kind != Array:
		f.complain(list, "plugins: must be an array, not %s %s", article(list.Kind), list.Kind)
	case len(list.Items) == 0:
		f.complain(list, "plugins: no plugin in the list")
	}
	if !f.inList() && f.Path != Stdin {
		f.complain(list, "plugins: runtimes read a list from a file that ends in .conflist alone")
	}
	for i, item := range list.Items {
		if item.Kind != Object {
			f.complain(item, "plugins[%d]: must be an object, not %s %s", i, article(item.Kind), item.Kind)
			continue
		}
		f.plugin(item)
	}
}

func (f *File) plugin(n *Node) {
	p := &Plugin{Node: n, Type: f.text(n.Get("type"), "type")}
	switch {
	case n.Get("type") == nil:
		f.complain(n, "type: missing")
	case strings.ContainsRune(p.Type, filepath.Separator):
		f.complain(n.Get("type"), "type: %q: must be a file's name, without a path", p.Type)
	}
	if ipam := n.Get("ipam"); ipam != nil && ipam.Kind == Object {
		p.IPAM = f.text(ipam.Get("type"), "ipam.type")
	}
	f.capabilities(n.Get("capabilities"))
	f.Plugins = append(f.Plugins, p)
}

// capabilities must be what runtimes can read: names, each with true or false.
func (f *File) capabilities(n *Node) {
	switch {
	case n == nil || n.Kind == Null:
	case n.Kind != Object:
		f.complain(n, "capabilities: must be an object, not %s %s", article(n.Kind), n.Kind)
	default:
		for _, m := range n.Members {
			if m.Value.Kind != Bool && m.Value.Kind != Null {
				f.complain(m.Value, "capabilities.%s: must be true or false", m.Key)
			}
		}
	}
}
