package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// collection is one run of trestle gc.
type collection struct {
	results, network string
	plugins          []string // directories of others' plugins
	yes              bool     // remove; else it is only said what would be
	json             bool
}

func gcCommand(bundle plugin.Bundle) *cobra.Command {
	var c collection
	var dry bool
	command := &cobra.Command{
		Use:   "gc",
		Short: "Remove what is left of containers that are provably dead",
		Long: "Looks through every network that is found in the runtimes' results and on the host's links, and says which links, rules and\n" +
			"addresses are left of containers of which there is proof that they are gone, and the proof of each; --yes removes them. What is\n" +
			"not proven stays. Of a network that has plugins of others, too, those are called for the DEL that the runtime did not send.",
		Example: "  trestle gc\n  trestle gc --yes --network front",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags := cmd.Flags(); flags.Changed("dry-run") {
				if flags.Changed("yes") && c.yes == dry {
					return fault.New(fault.Environment, "leave one of them out", "gc: --yes and --dry-run: contradict each other")
				}
				c.yes = !dry
			}
			return c.run(cmd.Context(), cmd.OutOrStdout(), bundle)
		},
	}
	yesFlag(command, &c.yes)
	command.Flags().BoolVar(&dry, "dry-run", true, "the opposite of --yes")
	pluginsFlag(command, &c.plugins, pluginDirs())
	resultsFlag(command, &c.results)
	networkFlag(command, &c.network)
	jsonFlag(command, &c.json)
	return command
}

// pluginDirs are where runtimes look for plugins, unless the environment says it.
func pluginDirs() []string {
	if path := os.Getenv("CNI_PATH"); path != "" {
		return strings.Split(path, ":")
	}
	return []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/local/libexec/cni"}
}

// run deletes the dead that runtimes remember, and asks the plugins of every network for what else is dead. One's trouble is no reason to leave the
// others, but its network: whoever gets an address there next would have what is left of it.
func (c collection) run(ctx context.Context, out io.Writer, bundle plugin.Bundle) error {
	if !mayEnter() {
		return fault.New(fault.Internal, "run it as root", "gc: only root sees which containers are dead")
	}
	host, err := observe.Read(ctx, observe.Options{Results: c.results})
	if err == nil {
		err = knownNetwork(host, c.network)
	}
	if err != nil {
		return err
	}
	entries, unread := cache.Read(c.results)
	errs := []error{unread}
	g := gathering{c, bundle, newScreen(out), gcAnswer{Done: c.yes, Lines: []gcLine{}}}
	networks := c.networks(host, entries, bundle)
	for _, e := range entries {
		if a := dead(host, e); a != nil && c.wants(e.Network) {
			if err := g.delete(ctx, a, e); err != nil {
				errs = append(errs, fmt.Errorf("attachment %s: %w", a.ID, err))
				delete(networks, e.Network)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if err := g.collect(ctx, networks[name]); err != nil {
			errs = append(errs, fmt.Errorf("network %s: %w", name, err))
		}
	}
	if err = fault.Join(errs...); err == nil {
		err = g.last(ctx)
	}
	g.conclude(len(networks), err)
	return err
}

// conclude says what the run was, where the lines before do not.
func (g *gathering) conclude(networks int, err error) {
	count := len(g.answer.Lines)
	switch {
	case g.json:
		g.answer.Networks = networks
		_ = printJSON(g.out, g.answer) // who does not listen misses it
	case count > 0 && !g.yes:
		fmt.Fprintln(g.out, "nothing was removed; trestle gc --yes does it")
	case count == 0 && err == nil:
		fmt.Fprintf(g.out, "nothing to remove in %d networks\n", networks)
	}
}

// dead returns the attachment of the entry if it is provably dead.
func dead(host *observe.Host, e cache.Entry) *observe.Attachment {
	for _, a := range host.Attachments {
		if a.Result == e.File && a.State == observe.Leaked {
			return a
		}
	}
	return nil
}

// gathering is a collection at work.
type gathering struct {
	collection
	bundle plugin.Bundle
	out    screen
	answer gcAnswer
}

// say tells of something that goes, once: several plugins of a list may find it.
func (g *gathering) say(network, line string) { g.tell(&g.answer.Lines, gcLine{network, line}) }

func (g *gathering) tell(list *[]gcLine, l gcLine) {
	if slices.Contains(*list, l) {
		return
	}
	*list = append(*list, l)
	if !g.json {
		fmt.Fprintf(g.out, "%s: %s\n", safe(l.Network), safe(l.What))
	}
}

// goes says whether a plugin's line is of what it removes, or would; others are of what stays, and why.
func goes(line string) bool {
	_, said, _ := strings.Cut(line, ": ")
	return slices.ContainsFunc([]string{"would ", "removes ", "reclaimed "}, func(word string) bool { return strings.HasPrefix(said, word) })
}

// collect is a GC of one network, in which only the provably dead go.
func (g *gathering) collect(ctx context.Context, network pluginList) error {
	r := request{pluginList: network.collectable(g.bundle), env: make(map[string]string)}
	if len(r.Plugins) == 0 {
		return nil // nothing of ours is in it
	}
	if !g.yes {
		r.env["TRESTLE_DRY_RUN"] = "1"
	}
	lines, err := r.call(ctx, g.bundle, "GC")
	for _, line := range lines {
		list := &g.answer.Notes
		if goes(line) {
			list = &g.answer.Lines
		}
		g.tell(list, gcLine{network.Name, line})
	}
	return err
}

// collectable leaves what has a GC of ours: plugins of the bundle and, of others', the address plugin. To others a GC without a list may mean that
// nobody is valid.
func (l pluginList) collectable(bundle plugin.Bundle) pluginList {
	var entries []json.RawMessage
	for _, raw := range l.Plugins {
		e := entryOf(raw)
		_, held := bundle[e.Type]
		_, gives := bundle[e.IPAM.Type]
		switch {
		case held:
			entries = append(entries, raw)
		case gives:
			entries = append(entries, withType(raw, e.IPAM.Type))
		}
	}
	l.Plugins = entries
	return l
}

// withType is the entry as if it were of another plugin.
func withType(raw json.RawMessage, kind string) json.RawMessage {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(raw, &members) // it was read before
	members["type"], _ = json.Marshal(kind)
	raw, _ = json.Marshal(members)
	return raw
}

// networks returns the configuration of each network that is found.
func (c collection) networks(host *observe.Host, entries []cache.Entry, bundle plugin.Bundle) map[string]pluginList {
	found := make(map[string]pluginList)
	for _, e := range entries {
		if l, err := parseList(e.List); err == nil && c.wants(e.Network) {
			l.Name, l.CNIVersion = e.Network, plugin.Current
			found[e.Network] = l
		}
	}
	for _, n := range host.Networks {
		if _, known := found[n.Name]; !known && len(n.Files) > 0 && c.wants(n.Name) {
			if l, err := configured(n); err == nil {
				found[n.Name] = l
			}
		}
	}
	for _, a := range host.Attachments {
		if _, known := found[a.Network]; !known && a.Network != "" && c.wants(a.Network) {
			found[a.Network] = everything(a.Network, bundle)
		}
	}
	return found
}

// configured is the network as its file has it: nobody may be left on it, and yet a bridge of its.
func configured(n *observe.Network) (pluginList, error) {
	text, err := os.ReadFile(n.Files[0])
	if err != nil {
		return pluginList{}, err
	}
	l, err := parseList(text)
	l.Name, l.CNIVersion = n.Name, plugin.Current
	return l, err
}

func (c collection) wants(network string) bool { return c.network == "" || c.network == network }

// everything is the configuration of a network of which only the name is known: every kind of thing that our plugins make.
func everything(name string, bundle plugin.Bundle) pluginList {
	entries := known.Everything(func(kind string) bool { return bundle[kind].Name != "" })
	return pluginList{Name: name, CNIVersion: plugin.Current, Plugins: entries}
}
