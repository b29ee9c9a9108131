package tool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// linter is one file being looked at.
type linter struct {
	bundle  plugin.Bundle
	path    string
	version string
	remarks []remark
}

// file looks at the file as a runtime does, and then at each plugin's part as the plugin does. The names are those of the networks before, with their
// files.
func (l *linter) file(data []byte, names map[string]string) {
	f := conflist.Parse(l.path, data)
	l.version = f.CNIVersion
	for _, c := range f.Complaints {
		l.remarks = append(l.remarks, remark{c.File, c.Line, c.Column, c.Text, false})
	}
	if f.Root == nil {
		return
	}
	l.twice(f.Root, "")
	if other, taken := names[f.Name]; taken && f.Name != "" {
		l.hint(f.Root.Get("name"), "name: "+f.Name+": is that of "+other+", too; runtimes take one of the two")
	} else {
		names[f.Name] = l.path
	}
	if f.List != nil {
		l.header(f.Root)
		l.list(f.List, data, true)
	} else {
		l.plugin(f.Root, data, true)
		l.parent(f.Root)
	}
	order.By(l.remarks, func(a, b remark) int {
		return cmp.Or(l.other(a)-l.other(b), a.Line-b.Line, a.Column-b.Column)
	})
}

// other puts what is about another file behind what is about this one.
func (l *linter) other(r remark) int {
	if r.File == l.path {
		return 0
	}
	return 1
}

// twice hints at keys that stand twice in one object: readers of JSON differ in which they take, and the writer meant one.
func (l *linter) twice(node *conflist.Node, path string) {
	for i, item := range node.Items {
		l.twice(item, fmt.Sprintf("%s[%d]", path, i))
	}
	for i, m := range node.Members {
		at := strings.TrimPrefix(path+"."+m.Key, ".")
		if slices.ContainsFunc(node.Members[:i], func(o conflist.Member) bool { return strings.EqualFold(o.Key, m.Key) }) {
			l.hintAt(m.Line, m.Column, at+": is given twice; the last counts")
		}
		l.twice(m.Value, at)
	}
}

// listKeys are those of a list of plugins that runtimes read.
var listKeys = []string{"name", "cniVersion", "cniVersions", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "plugins"}

// header hints at keys of the list that no runtime reads.
func (l *linter) header(root *conflist.Node) {
	for _, m := range root.Members {
		if !strings.HasPrefix(m.Key, "cni.dev/") && !slices.ContainsFunc(listKeys, func(k string) bool { return strings.EqualFold(k, m.Key) }) {
			l.hintAt(m.Line, m.Column, m.Key+": no runtime reads this key"+meant(m.Key, listKeys))
		}
	}
}

// list looks at the entries of a list that stands in the object; outermost is the runtime's own.
func (l *linter) list(list *conflist.Node, object []byte, outermost bool) {
	var raw struct{ Plugins []json.RawMessage }
	_ = json.Unmarshal(object, &raw) // what is no list of objects was complained of
	for i, node := range list.Items {
		if i < len(raw.Plugins) && node.Kind == conflist.Object {
			l.plugin(node, raw.Plugins[i], outermost && i == 0)
			if i == 0 { // of another, what came before may be it
				l.parent(node)
			}
		}
	}
}

// plugin asks the plugin and its address plugin, each of which reads the same object.
func (l *linter) plugin(node *conflist.Node, raw []byte, first bool) {
	kind := node.Get("type")
	if kind == nil {
		l.typeless(node)
		return
	}
	l.known(kind, "type")
	if ipam := node.Get("ipam").Get("type"); ipam != nil {
		l.known(ipam, "ipam.type")
	}
	readers := l.read(node, raw)
	l.capabilities(node, readers, first)
	l.unknown(node, readers)
	l.values(node)
	if inner := node.Get("plugins"); inner != nil {
		l.list(inner, raw, false)
	}
}

// read has the plugins of the entry that are ours read it, and tells what they complain of.
func (l *linter) read(node *conflist.Node, raw []byte) (readers []*keys.Object) {
	var entry map[string]json.RawMessage
	if json.Unmarshal(raw, &entry) != nil || !slices.Contains(plugin.Versions(), l.version) && l.version != "" {
		return nil
	}
	entry["name"] = json.RawMessage(`"lint"`) // what is wrong with the network's was said of the file
	entry["cniVersion"], _ = json.Marshal(l.version)
	text, err := json.Marshal(entry)
	if err != nil {
		return nil
	}
	for _, kind := range []*conflist.Node{node.Get("type"), node.Get("ipam").Get("type")} {
		if kind == nil || !l.ours(kind.Text) {
			continue
		}
		read, err := l.bundle.Lint(kind.Text, text)
		if err != nil {
			l.add(node.Line, node.Column, kind.Text+": "+err.Error(), false)
			continue
		}
		readers = append(readers, read)
		for _, c := range read.Complaints() {
			at := node.At(c.Path)
			l.add(at.Line, at.Column, c.String(), false)
		}
	}
	return readers
}

// ours says whether the plugin is of this binary, and can be asked.
func (l *linter) ours(kind string) bool { return l.bundle[kind].Parse != nil }

// add notes a remark, once: two plugins may read one key.
func (l *linter) add(line, column int, text string, hint bool) {
	l.note(remark{l.path, line, column, text, hint})
}

func (l *linter) note(r remark) {
	if !slices.Contains(l.remarks, r) {
		l.remarks = append(l.remarks, r)
	}
}

func (l *linter) hintAt(line, column int, text string) { l.add(line, column, text, true) }

func (l *linter) hint(node *conflist.Node, text string) { l.add(node.Line, node.Column, text, true) }
