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
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// collection is one run of trestle gc.
type collection struct {
	results, network string
	dry              bool
}

func gcCommand(bundle plugin.Bundle) *cobra.Command {
	var c collection
	command := &cobra.Command{
		Use:   "gc",
		Short: "Remove what is left of containers that are provably dead",
		Long: "Looks through every network that is found in the runtimes' results and on the host's links, and removes the links, rules and\n" +
			"addresses of containers of which there is proof that they are gone. It says the proof of each. What is not proven stays. On a\n" +
			"terminal it only says what it would do, unless --dry-run=false is given.",
		Example: "  trestle gc --dry-run\n  trestle gc --dry-run=false --network front",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("dry-run") {
				c.dry = onTerminal(cmd.OutOrStdout())
			}
			return c.run(cmd.Context(), cmd.OutOrStdout(), bundle)
		},
	}
	command.Flags().BoolVar(&c.dry, "dry-run", false, "say what would be removed, and remove nothing; the default on a terminal")
	command.Flags().StringVar(&c.results, "results", cache.Dir, "where the runtimes keep their results")
	command.Flags().StringVar(&c.network, "network", "", "of this network alone")
	return command
}

// run deletes the dead that runtimes remember, asks the plugins of every network for what else is dead, and forgets those of whom nothing is
// left. One's trouble is no reason to leave the others.
func (c collection) run(ctx context.Context, out io.Writer, bundle plugin.Bundle) error {
	host, err := observe.Read(ctx, observe.Options{Results: c.results})
	if err != nil {
		return err
	}
	entries, unread := cache.Read(c.results)
	errs := []error{unread}
	g := gathering{c, bundle, newScreen(out), 0}
	for _, e := range entries {
		if a := dead(host, e); a != nil && c.wants(e.Network) {
			errs = append(errs, g.delete(ctx, a, e))
		}
	}
	networks := c.networks(host, entries)
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if err := g.collect(ctx, networks[name]); err != nil {
			errs = append(errs, fmt.Errorf("network %s: %w", name, err))
		}
	}
	if !c.dry {
		errs = append(errs, g.forget(ctx))
	}
	if g.count == 0 {
		fmt.Fprintf(out, "nothing to remove in %d networks\n", len(networks))
	}
	return fault.Join(errs...)
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
	count  int
}

func (g *gathering) say(network, line string) {
	g.count++
	fmt.Fprintf(g.out, "%s: %s\n", safe(network), safe(line))
}

// delete is the DEL that the runtime did not send, without the namespace that is gone. It knows what the runtime knew, and so finds what was made by
// the reference's plugins as well.
func (g *gathering) delete(ctx context.Context, a *observe.Attachment, e cache.Entry) error {
	r, err := requestFor(e, g.bundle)
	if err != nil {
		return err
	}
	did := "removed"
	if g.dry {
		did = "would remove"
	} else {
		r.env["CNI_NETNS"] = ""
		_, err = r.call(ctx, g.bundle, "DEL")
	}
	if err != nil {
		return fmt.Errorf("attachment %s: %w", a.ID, err)
	}
	g.say(a.Network, fmt.Sprintf("%s attachment %s: %s", did, a.ID, strings.Join(a.Why, "; ")))
	return nil
}

// collect is a GC of one network, in which only the provably dead go.
func (g *gathering) collect(ctx context.Context, network pluginList) error {
	r := request{pluginList: network.only(g.bundle), env: make(map[string]string)}
	if g.dry {
		r.env["TRESTLE_DRY_RUN"] = "1"
	}
	lines, err := r.call(ctx, g.bundle, "GC")
	for _, line := range lines {
		g.say(network.Name, line)
	}
	return err
}

// networks returns the configuration of each network that is found.
func (c collection) networks(host *observe.Host, entries []cache.Entry) map[string]pluginList {
	found := make(map[string]pluginList)
	for _, e := range entries {
		if l, err := parseList(e.List); err == nil && c.wants(e.Network) {
			l.Name, l.CNIVersion = e.Network, plugin.Current
			found[e.Network] = l
		}
	}
	for _, a := range host.Attachments {
		if _, known := found[a.Network]; !known && a.Network != "" && c.wants(a.Network) {
			found[a.Network] = unknownList(a.Network)
		}
	}
	return found
}

func (c collection) wants(network string) bool { return c.network == "" || c.network == network }

// forget removes what runtimes remember of the dead of whom nothing else is left. A runtime's later DEL does without.
func (g *gathering) forget(ctx context.Context) error {
	host, err := observe.Read(ctx, observe.Options{Results: g.results})
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range host.Attachments {
		if a.State != observe.Leaked || a.Result == "" || len(a.Ports)+len(a.Masked) > 0 || reserves(host, a) || !g.wants(a.Network) {
			continue
		}
		err := os.Remove(a.Result)
		if err == nil {
			g.say(a.Network, "removed "+a.Result)
		}
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}

func reserves(host *observe.Host, a *observe.Attachment) bool {
	return slices.ContainsFunc(host.Reservations, func(r *observe.Reservation) bool { return r.Attachment == a.ID })
}

// unknownList is the configuration of a network of which only the name is known: every kind of thing that our plugins make.
func unknownList(name string) pluginList {
	return pluginList{Name: name, CNIVersion: plugin.Current, Plugins: []json.RawMessage{
		json.RawMessage(`{"type": "bridge", "ipMasq": true, "macspoofchk": true, "ipam": {"type": "host-local"}}`),
		json.RawMessage(`{"type": "portmap"}`),
	}}
}
