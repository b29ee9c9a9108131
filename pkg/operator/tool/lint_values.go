package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
)

// values hints at what is right by its form, and seldom what was meant, or not allowed on this machine.
func (l *linter) values(node *conflist.Node) {
	for _, f := range known.FlowsOf(node) {
		if f.Burst > f.Rate {
			l.hint(f.Key, fmt.Sprintf("%s: %.0f bits are %.3g seconds' worth of the rate, and pass at line rate whenever the container was quiet for a while; %s bounds them",
				f.Name, f.Burst, f.Burst/f.Rate, f.Bound))
		}
	}
	file, names := known.AllowedBy(node)
	if len(names) == 0 {
		return
	}
	allowed, there := l.allowList(file)
	for _, name := range names {
		if there && !slices.ContainsFunc(allowed, func(e *regexp.Regexp) bool { return e.MatchString(name.Key) }) {
			l.hintAt(name.Line, name.Column, fmt.Sprintf("%s: no line of %s allows it: an ADD on this machine is refused", name.Key, file))
		}
	}
}

// parent hints at a parent that moves, and at one of this machine's that can do more by itself.
func (l *linter) parent(node *conflist.Node) {
	key := known.Of(known.Type(node)).Parent.Name
	if link, on := known.LanOf(node); on && link == "" {
		l.hint(node, key+": not named: each container hangs on the link of the default route at its time, be that a VPN's")
	}
	if link := known.TaggedOf(node); link != "" && filters(link) {
		l.hint(node.Get(key), fmt.Sprintf("%s: %s is a bridge that tells VLANs apart: as its ports, with the key vlan, several containers may have one", key, link))
	}
}

// filters says whether the link, of the namespace that the tool is in, is a bridge that tells VLANs apart.
func filters(name string) bool {
	link, err := netlink.LinkByName(name)
	bridge, is := link.(*netlink.Bridge)
	return err == nil && is && bridge.VlanFiltering != nil && *bridge.VlanFiltering
}

// allowList reads an operator's list, and says what is wrong with its lines: a line matches anywhere in a name, so that one that is not tied to its beginning and
// its end allows more than it seems to. Without the file all is allowed.
func (l *linter) allowList(file string) (list []*regexp.Regexp, there bool) {
	of := &linter{path: file}
	text, err := plainfile.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err != nil {
		l.note(remark{File: file, Text: err.Error(), Hint: true})
		return nil, false
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		expression, err := regexp.Compile(line)
		switch {
		case err != nil:
			of.add(i+1, 1, err.Error()+": an ADD on this machine is refused", true)
			continue
		case !strings.HasPrefix(line, "^") || !strings.HasSuffix(line, "$"):
			of.add(i+1, 1, fmt.Sprintf("%s: matches anywhere in a name, and allows more than that one; likely meant ^%s$", line, strings.Trim(line, "^$")), true)
		}
		list = append(list, expression)
	}
	for _, r := range of.remarks {
		l.note(r)
	}
	return list, true
}
