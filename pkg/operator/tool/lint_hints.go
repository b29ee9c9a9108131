package tool

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/page"
)

// known hints at a plugin of which nobody has heard.
func (l *linter) known(kind *conflist.Node, key string) {
	types := known.Names()
	if kind.Kind == conflist.String && kind.Text != "" && !slices.Contains(types, kind.Text) && !strings.Contains(kind.Text, "/") {
		l.hint(kind, fmt.Sprintf("%s: %q: not a plugin that is known here, and not looked into%s", key, kind.Text, meant(kind.Text, types)))
	}
}

// typeless hints at the key that was likely meant, where an entry says of no plugin.
func (l *linter) typeless(node *conflist.Node) {
	for _, m := range node.Members {
		if text := meant(m.Key, []string{"type"}); text != "" {
			l.hintAt(m.Line, m.Column, m.Key+": no plugin reads this key"+text)
		}
	}
}

// capabilityNames are those that runtimes know (the conventions of CNI, and containerd's own).
var capabilityNames = []string{"portMappings", "ipRanges", rates, "dns", "ips", "mac", "infinibandGUID", "deviceID", "aliases", "cgroupPath",
	"io.kubernetes.cri.pod-annotations"}

// rates is the capability of how fast a container may send and receive.
const rates = "bandwidth"

// capabilities hints at those that no runtime hands out, that the plugin does not read, and that are missing where they are needed.
func (l *linter) capabilities(node *conflist.Node, readers []*keys.Object, first bool) {
	declared := node.Get("capabilities")
	read, kind := askedIn(readers, "runtimeConfig"), node.Get("type").Text
	if runsList(kind) {
		read = l.inside(node, first)
	}
	if declared != nil {
		for _, m := range declared.Members {
			switch {
			case !slices.Contains(capabilityNames, m.Key):
				l.hintAt(m.Line, m.Column, fmt.Sprintf("capabilities.%s: no runtime knows this capability%s", m.Key, meant(m.Key, capabilityNames)))
			case l.ours(kind) && len(readers) > 0 && !slices.Contains(read, m.Key):
				l.hintAt(m.Line, m.Column, fmt.Sprintf("capabilities.%s: nothing in this entry reads it", m.Key))
			}
		}
	}
	p := known.Of(kind)
	if p.Needs != "" && !declares(declared, p.Needs) {
		l.hint(node, fmt.Sprintf(`%s: %s "capabilities": {"%s": true}`, kind, p.Idle, p.Needs))
	}
	if first && p.Part == known.Chained {
		l.hint(node, kind+": is first, and every ADD fails: it goes on with what a plugin before it has made")
	}
}

func declares(capabilities *conflist.Node, name string) bool {
	if capabilities == nil {
		return false
	}
	return slices.ContainsFunc(capabilities.Members, func(m conflist.Member) bool { return m.Key == name && m.Value.Text == "true" })
}

// inside returns the capabilities that the entries of a plugin trestle declare. It hints at what podman does to the first plugin of a network: on --ip and on
// network reload it gives it the capability ips, in the place of all others unless that is declared. What is inside is then refused its own.
func (l *linter) inside(node *conflist.Node, first bool) (names []string) {
	inner := node.Get("plugins")
	if inner == nil {
		return nil
	}
	for _, entry := range inner.Items {
		if declared := entry.Get("capabilities"); declared != nil {
			for _, m := range declared.Members {
				names = append(names, m.Key)
			}
		}
	}
	lost := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "ips" })
	if first && len(lost) > 0 && !declares(node.Get("capabilities"), "ips") {
		l.hint(node, "capabilities: does not have ips: podman, on --ip and on network reload, then puts ips in the place of all others, the ADD is refused for want of "+
			strings.Join(lost, ", ")+`, and a running container is cut off; declare "ips": true as well`)
	}
	return names
}

// entryKeys are those of an entry that runtimes read, or fill in, and not plugins.
var entryKeys = []string{"name", "cniVersion", "cniVersions", "type", "capabilities", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "runtimeConfig",
	"prevResult", "args"}

// unknown hints at the keys that none of the readers asked for, in every object of which one asked for some key. Nobody is blamed where the
// plugin is not ours.
func (l *linter) unknown(node *conflist.Node, readers []*keys.Object) {
	if !l.ours(node.Get("type").Text) {
		return
	}
	leave := ""
	if ipam := node.Get("ipam").Get("type"); ipam != nil && !l.ours(ipam.Text) {
		leave = "ipam"
	}
	l.walk(node, "", readers, leave)
}

func (l *linter) walk(node *conflist.Node, path string, readers []*keys.Object, leave string) {
	known := askedIn(readers, path)
	for i, item := range node.Items {
		l.walk(item, fmt.Sprintf("%s[%d]", path, i), readers, leave)
	}
	if len(known) == 0 || path != "" && complains(readers, path) {
		return // of an object that is wrong not all may have been read
	}
	is := func(key string) func(string) bool { return func(k string) bool { return strings.EqualFold(k, key) } }
	if path == "" {
		known = append(known, entryKeys...)
	}
	for _, m := range node.Members {
		at := strings.TrimPrefix(path+"."+m.Key, ".")
		switch {
		case path == "" && (slices.ContainsFunc(entryKeys, is(m.Key)) || strings.HasPrefix(m.Key, "cni.dev/") || m.Key == "plugins"):
		case !slices.ContainsFunc(known, is(m.Key)):
			l.hintAt(m.Line, m.Column, at+": no plugin reads this key"+meant(m.Key, known))
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

// meant names the known word that is nearest, if one is near.
func meant(word string, known []string) string {
	near := page.Near(word, known)
	if len(near) == 0 {
		return ""
	}
	return "; likely meant " + near[0]
}
