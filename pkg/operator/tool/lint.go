package tool

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/page"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func lintCommand(bundle plugin.Bundle) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check network configurations as runtimes and plugins would, without running anything",
		Long: "Names all that is wrong with each file at once, with line and column, and hints at keys that no plugin reads, which is most often a\n" +
			"slip of the pen. Plugins that are not of this binary are not looked into. The status is 1 if anything is wrong; hints alone are no\n" +
			"error.",
		Example: "  trestle lint /etc/cni/net.d/*.conflist",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			return lint(c.OutOrStdout(), bundle, files, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON (docs/schema.md)")
	return c
}

// remark is a complaint or a hint.
type remark struct {
	conflist.Complaint
	Hint bool `json:"hint,omitempty"` // it is no error
}

func lint(out io.Writer, bundle plugin.Bundle, files []string, asJSON bool) error {
	remarks, wrong := []remark{}, 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return fault.New(fault.IO, "", "lint: %w", err)
		}
		remarks = append(remarks, lintFile(bundle, path, data)...)
	}
	for _, r := range remarks {
		if !r.Hint {
			wrong++
		}
	}
	if asJSON {
		if err := printJSON(out, map[string]any{"remarks": remarks}); err != nil {
			return err
		}
	} else {
		printRemarks(newScreen(out), remarks)
	}
	if wrong > 0 {
		return fault.New(fault.Config, "", "lint: %d complaints", wrong)
	}
	return nil
}

func printRemarks(s screen, remarks []remark) {
	for _, r := range remarks {
		if r.Hint {
			where := strings.TrimSuffix(r.String(), r.Text)
			fmt.Fprintf(s, "%s%s %s\n", safe(where), s.paint(yellow, "hint:"), safe(r.Text))
			continue
		}
		fmt.Fprintln(s, safe(r.String()))
	}
}

// linter is one file being looked at.
type linter struct {
	bundle  plugin.Bundle
	path    string
	version string
	remarks []remark
}

// lintFile looks at the file as a runtime does, and then at each plugin's part as the plugin does.
func lintFile(bundle plugin.Bundle, path string, data []byte) []remark {
	f := conflist.Parse(path, data)
	l := &linter{bundle: bundle, path: path, version: f.CNIVersion}
	for _, c := range f.Complaints {
		l.remarks = append(l.remarks, remark{Complaint: c})
	}
	if f.Root == nil || !slices.Contains(plugin.Versions(), f.CNIVersion) && f.CNIVersion != "" {
		return l.remarks
	}
	var raw conflistText
	_ = json.Unmarshal(data, &raw) // what is no list of objects was complained of
	if list := f.Root.Get("plugins"); list != nil {
		l.list(list, raw.Plugins)
	} else {
		l.plugin(f.Root, data)
	}
	slices.SortStableFunc(l.remarks, func(a, b remark) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return l.remarks
}

// conflistText is a list of plugins as it was written.
type conflistText struct{ Plugins []json.RawMessage }

func (l *linter) list(list *conflist.Node, raw []json.RawMessage) {
	for i, node := range list.Items {
		if i < len(raw) && node.Kind == conflist.Object {
			l.plugin(node, raw[i])
		}
	}
}

// plugin asks the plugin and its address plugin, each of which reads the same object.
func (l *linter) plugin(node *conflist.Node, raw []byte) {
	var entry map[string]json.RawMessage
	if json.Unmarshal(raw, &entry) != nil {
		return
	}
	entry["name"] = json.RawMessage(`"lint"`) // what is wrong with the network's was said of the file
	entry["cniVersion"], _ = json.Marshal(l.version)
	text, err := json.Marshal(entry)
	if err != nil {
		return
	}
	var readers []*keys.Object
	for _, kind := range []*conflist.Node{node.Get("type"), node.Get("ipam").Get("type")} {
		if kind == nil || l.bundle[kind.Text].Parse == nil {
			continue
		}
		read, err := l.bundle.Lint(kind.Text, text)
		if err != nil {
			l.remark(node, false, kind.Text+": "+err.Error())
			continue
		}
		readers = append(readers, read)
		l.complaints(node, read)
	}
	l.unknown(node, readers)
	if inner := node.Get("plugins"); inner != nil {
		var list conflistText
		_ = json.Unmarshal(raw, &list)
		l.list(inner, list.Plugins)
	}
}

func (l *linter) complaints(node *conflist.Node, read *keys.Object) {
	for _, c := range read.Complaints() {
		at := node.At(c.Path)
		r := remark{Complaint: conflist.Complaint{File: l.path, Line: at.Line, Column: at.Column, Text: c.String()}}
		if !slices.Contains(l.remarks, r) { // two plugins may read one key
			l.remarks = append(l.remarks, r)
		}
	}
}

func (l *linter) remark(node *conflist.Node, hint bool, text string) {
	l.remarks = append(l.remarks, remark{conflist.Complaint{File: l.path, Line: node.Line, Column: node.Column, Text: text}, hint})
}

// isRuntimes says whether the key is one that runtimes read, or fill in, and not plugins.
func isRuntimes(path string) bool {
	first, _, _ := strings.Cut(strings.ToLower(path), ".")
	return strings.HasPrefix(first, "cni.dev/") || slices.Contains([]string{"name", "cniversion", "cniversions", "type", "capabilities", "disablecheck",
		"disablegc", "loadonlyinlinedplugins", "runtimeconfig", "prevresult", "args", "plugins"}, first)
}

// unknown hints at the keys that none of the readers asked for, in every object of which one asked for some key. Nobody is blamed where the
// plugin is not ours.
func (l *linter) unknown(node *conflist.Node, readers []*keys.Object) {
	if kind := node.Get("type"); kind == nil || l.bundle[kind.Text].Parse == nil {
		return
	}
	if ipam := node.Get("ipam").Get("type"); ipam != nil && l.bundle[ipam.Text].Parse == nil {
		readers = slices.Clone(readers)
		l.walk(node, "", readers, "ipam")
		return
	}
	l.walk(node, "", readers, "")
}

func (l *linter) walk(node *conflist.Node, path string, readers []*keys.Object, leave string) {
	known := askedIn(readers, path)
	for i, item := range node.Items {
		l.walk(item, fmt.Sprintf("%s[%d]", path, i), readers, leave)
	}
	if len(known) == 0 || path != "" && complains(readers, path) {
		return // of an object that is wrong not all may have been read
	}
	for _, m := range node.Members {
		at := strings.TrimPrefix(path+"."+m.Key, ".")
		switch {
		case path == "" && isRuntimes(at):
		case !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, m.Key) }):
			text := fmt.Sprintf("%s: no plugin reads this key%s", at, meant(m.Key, known))
			l.remarks = append(l.remarks, remark{conflist.Complaint{File: l.path, Line: m.Line, Column: m.Column, Text: text}, true})
		case at != leave:
			l.walk(m.Value, at, readers, leave)
		}
	}
}

func askedIn(readers []*keys.Object, path string) (known []string) {
	for _, r := range readers {
		known = append(known, r.Asked(path)...)
	}
	return known
}

// complains says whether a reader found fault with the object itself, or a value in it.
func complains(readers []*keys.Object, path string) bool {
	return slices.ContainsFunc(readers, func(r *keys.Object) bool {
		return slices.ContainsFunc(r.Complaints(), func(c keys.Complaint) bool {
			key, in := strings.CutPrefix(c.Path, path)
			return in && !strings.ContainsAny(strings.TrimPrefix(key, "."), ".[")
		})
	})
}

// meant names the known key that is nearest, if one is near.
func meant(key string, known []string) string {
	best, near := "", 3
	for _, k := range known {
		if d := page.Distance(strings.ToLower(key), strings.ToLower(k)); d < near {
			best, near = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; likely meant " + best
}
