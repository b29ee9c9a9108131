package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
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

// run asks the plugins of every network. One network's trouble is no reason to leave another's dead.
func (c collection) run(ctx context.Context, out io.Writer, bundle plugin.Bundle) error {
	networks, err := c.networks()
	errs := []error{err}
	count := 0
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		r := request{conflist: networks[name], env: make(map[string]string)}
		if c.dry {
			r.env["TRESTLE_DRY_RUN"] = "1"
		}
		lines, err := r.call(ctx, bundle, "GC")
		for _, line := range lines {
			count++
			fmt.Fprintf(out, "%s: %s\n", name, line)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("network %s: %w", name, err))
		}
	}
	if count == 0 {
		fmt.Fprintf(out, "nothing to remove in %d networks\n", len(networks))
	}
	return fault.Join(errs...)
}

// networks returns the configuration of each network that is found.
func (c collection) networks() (map[string]conflist, error) {
	found := make(map[string]conflist)
	entries, unread := cache.Read(c.results)
	for _, e := range entries {
		if l, err := parseList(e.List); err == nil && (c.network == "" || c.network == e.Network) {
			l.Name, l.CNIVersion = e.Network, plugin.Current
			found[e.Network] = l
		}
	}
	links, err := netlink.LinkList()
	for _, link := range links {
		o, ours := owner.Parse(link.Attrs().Alias)
		name, _, _, whole := o.Names()
		if _, known := found[name]; ours && whole && !known && (c.network == "" || c.network == name) {
			found[name] = unknownList(name)
		}
	}
	return found, fault.Join(unread, err)
}

// unknownList is the configuration of a network of which only the name is known: every kind of thing that our plugins make.
func unknownList(name string) conflist {
	return conflist{Name: name, CNIVersion: plugin.Current, Plugins: []json.RawMessage{
		json.RawMessage(`{"type": "bridge", "ipMasq": true, "macspoofchk": true, "ipam": {"type": "host-local"}}`),
		json.RawMessage(`{"type": "portmap"}`),
	}}
}

// onTerminal says whether a person reads the output.
func onTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
