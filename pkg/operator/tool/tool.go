// Package tool is the operator's commands. It knows plugins by their names and by the public protocol only, so that it works beside
// foreign ones.
package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Main runs the command line and returns its exit status.
func Main(bundle plugin.Bundle, args []string) int {
	root := Command(bundle)
	root.SetArgs(args)
	if err := root.ExecuteContext(context.Background()); err != nil {
		var found status
		if errors.As(err, &found) {
			return int(found)
		}
		complain(os.Stderr, err.Error())
		if hint := fault.Hint(err); hint != "" {
			complain(os.Stderr, hint)
		}
		var other failure
		if errors.As(err, &other) {
			return int(other.status)
		}
		return 1
	}
	return 0
}

// failure is an error with a status of its own, where 1 means something else.
type failure struct {
	error
	status
}

func (f failure) Error() string { return f.error.Error() }
func (f failure) Unwrap() error { return f.error }

// failed gives the error the status, unless it is one.
func failed(err error, s status) error {
	var found status
	if errors.As(err, &found) {
		return err
	}
	return failure{err, s}
}

// complain prints for a person. There may be names in the text, and so anything, but each of its lines is one.
func complain(out io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(out, "trestle: %s\n", safe(strings.TrimSuffix(line, "\n")))
	}
}

// Command returns the command line: for Main, for the manual, and for the test that runs its examples.
func Command(bundle plugin.Bundle) *cobra.Command {
	root := &cobra.Command{
		Use:   "trestle",
		Short: "Container networking: the CNI plugins in one binary, and the tool that goes with them",
		Long: "Shows what container networking has made on this host, says why it does not work, and puts it right. The same binary is all CNI\n" +
			"plugins of the suite: called by a plugin's name, or with CNI_COMMAND set, it is that plugin.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	names := slices.Sorted(maps.Keys(bundle))
	root.AddCommand(pluginCommand(bundle), installCommand(names), uninstallCommand(names))
	root.AddCommand(lsCommand(bundle), showCommand(bundle), contextCommand(bundle), graphCommand(bundle), traceCommand(bundle), doctorCommand(bundle), lintCommand(bundle))
	root.AddCommand(repairCommand(bundle), gcCommand(bundle))
	return root
}

func pluginCommand(bundle plugin.Bundle) *cobra.Command {
	return &cobra.Command{
		Use:       "plugin NAME",
		Short:     "Be the CNI plugin of that name, as the environment and standard input say",
		Example:   "  CNI_COMMAND=VERSION trestle plugin bridge",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: slices.Sorted(maps.Keys(bundle)),
		Run:       func(_ *cobra.Command, args []string) { bundle.Main(args[0]) },
	}
}

func installCommand(names []string) *cobra.Command {
	var i Installation
	c := &cobra.Command{
		Use:   "install --bin-dir DIR",
		Short: "Put the plugins into a runtime's directory",
		Long: "Copies this binary into the directory and links every plugin's name to it. Each name changes in one step, so plugins may be\n" +
			"running meanwhile. Somebody else's plugin of such a name is only replaced with --replace, and kept aside for uninstall.",
		Example: "  trestle install --bin-dir /opt/cni/bin --replace",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { i.Names = names; return i.Install() },
	}
	c.Flags().StringVar(&i.Dir, "bin-dir", "/opt/cni/bin", "the runtime's directory of plugins")
	c.Flags().BoolVar(&i.Replace, "replace", false, "replace somebody else's plugins, and keep them aside")
	return c
}

func uninstallCommand(names []string) *cobra.Command {
	var i Installation
	c := &cobra.Command{
		Use:   "uninstall --bin-dir DIR",
		Short: "Take the plugins away again, and put back what they replaced",
		Long: "Refuses while this host has links or rules of these plugins: what comes after could not delete them. Delete the containers first\n" +
			"(drain the node).",
		Example: "  trestle uninstall --bin-dir /opt/cni/bin",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := noneAttached(c.Context()); err != nil {
				return err
			}
			i.Names = names
			return i.Uninstall()
		},
	}
	c.Flags().StringVar(&i.Dir, "bin-dir", "/opt/cni/bin", "the runtime's directory of plugins")
	return c
}
