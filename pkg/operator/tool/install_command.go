package tool

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/plugin"
)

func installCommand(names []string) *cobra.Command {
	i, asJSON, stay := Installation{Names: names}, false, false
	c := &cobra.Command{
		Use:   "install --bin-dir DIR",
		Short: "Put the plugins into a runtime's directory",
		Long: "Copies this binary into the directory and links every plugin's name to it, and says what it did. Each name changes in one step, so\n" +
			"plugins may be running meanwhile. Plugins of this suite, be it in one binary or a binary each, are replaced by it. Somebody else's of\n" +
			"such a name is only replaced with --replace, and kept aside for uninstall. With --stay it goes on to watch the directory, and puts back what\n" +
			"is removed or replaced by others.",
		Example: "  trestle install --bin-dir /opt/cni/bin --replace",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			i.Make = !c.Flags().Changed("bin-dir") // a directory that is named may be misspelt
			did, err := i.Install()
			if err != nil {
				return err
			}
			tell := func(did installAnswer) error { return did.print(c.OutOrStdout(), asJSON) }
			if err := tell(did); err != nil || !stay {
				return err
			}
			ctx, stop := ended(c.Context())
			defer stop()
			return i.stay(ctx, tell)
		},
	}
	c.Flags().BoolVar(&stay, "stay", false, stayText)
	c.Flags().StringVar(&i.Dir, "bin-dir", "/opt/cni/bin", pluginsText)
	c.Flags().BoolVar(&i.Replace, "replace", false, "replace somebody else's plugins, and keep them aside")
	jsonFlag(c, &asJSON)
	return c
}

func uninstallCommand(bundle plugin.Bundle, names []string) *cobra.Command {
	i, asJSON, stay := Installation{Names: names}, false, false
	c := &cobra.Command{
		Use:   "uninstall --bin-dir DIR",
		Short: "Take the plugins away again, and put back what they replaced",
		Long: "Refuses while containers of these plugins live on this host: what comes after could not delete them. Delete them first\n" +
			"(drain the node). What the plugins shared on the host goes along: empty tables, and files beside the reservations.",
		Example: "  trestle uninstall --bin-dir /opt/cni/bin",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := os.Stat("/proc/self")
			runs := err == nil // or it is a system's folder, where its image is made
			if runs {
				if err := noneAttached(c.Context()); err != nil {
					return err
				}
			}
			did, err := i.Uninstall()
			if err == nil && runs {
				did.Along, err = uninstalled(c.Context(), bundle)
			}
			if err != nil {
				return err
			}
			if err := did.print(c.OutOrStdout(), asJSON); err != nil || !stay {
				return err
			}
			ctx, stop := ended(c.Context())
			defer stop()
			<-ctx.Done()
			return nil
		},
	}
	c.Flags().BoolVar(&stay, "stay", false, stayText)
	c.Flags().StringVar(&i.Dir, "bin-dir", "/opt/cni/bin", pluginsText)
	jsonFlag(c, &asJSON)
	return c
}

// installAnswer is what `trestle install --json` and `trestle uninstall --json` print.
type installAnswer struct {
	Directory string   `json:"directory"`
	Installed []string `json:"installed,omitempty"`
	Removed   []string `json:"removed,omitempty"`
	Kept      []string `json:"kept,omitempty"`     // plugins of others that ours took the place of
	Aside     string   `json:"aside,omitempty"`    // the directory where those are
	Restored  []string `json:"restored,omitempty"` // plugins of others that are back in their place
	Along     []string `json:"along,omitempty"`    // what else of ours went with the last of them
}

func (a installAnswer) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, a)
	}
	if len(a.Installed)+len(a.Removed)+len(a.Restored) == 0 {
		_, err := fmt.Fprintln(out, safe(a.Directory+": nothing of ours was there"))
		return err
	}
	for _, did := range []struct {
		what  string
		names []string
	}{{"installed: ", a.Installed}, {"somebody else's, kept in " + a.Aside + ": ", a.Kept}, {"removed: ", a.Removed}, {"put back: ", a.Restored},
		{"gone as well: ", a.Along}} {
		if len(did.names) > 0 {
			if _, err := fmt.Fprintln(out, safe(a.Directory+": "+did.what+strings.Join(did.names, ", "))); err != nil {
				return err
			}
		}
	}
	return nil
}
