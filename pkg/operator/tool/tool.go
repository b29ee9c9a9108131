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
		complain(os.Stderr, complaintOf(err))
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

// failsWith gives the command's errors, misspelt flags and missing words too, a status that is no answer of its.
func failsWith(c *cobra.Command, s status) {
	run, words := c.RunE, c.Args
	with := func(err error) error {
		if err == nil {
			return nil
		}
		return failed(err, s)
	}
	c.RunE = func(c *cobra.Command, args []string) error { return with(run(c, args)) }
	c.Args = func(c *cobra.Command, args []string) error { return with(words(c, args)) }
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return with(wrongFlag(c, err)) })
}

// complaintOf is the error, and in a line of its own the remedy.
func complaintOf(err error) string {
	if hint := fault.Hint(err); hint != "" {
		return err.Error() + "\n" + hint
	}
	return err.Error()
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
		Use:   self,
		Short: "Container networking: the CNI plugins in one binary, and the tool that goes with them",
		Long: "Shows what container networking has made on this host, says why it does not work, and puts it right. The same binary is all CNI\n" +
			"plugins of the suite: called by a plugin's name, or with CNI_COMMAND set, it is that plugin.",
		Example:       "  trestle ls\n  trestle doctor\n  trestle --version",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	names := slices.Sorted(maps.Keys(bundle))
	root.Version = strings.TrimPrefix(thisVersion(names).String(), "trestle ")
	root.AddCommand(pluginCommand(bundle), installCommand(names), uninstallCommand(bundle, names), versionCommand(names))
	root.AddCommand(lsCommand(bundle), showCommand(bundle), contextCommand(bundle), graphCommand(bundle), traceCommand(bundle), doctorCommand(bundle), lintCommand(bundle))
	root.AddCommand(repairCommand(bundle), pauseCommand(), resumeCommand(), gcCommand(bundle), logCommand(), topCommand(), metricsCommand(bundle))
	root.InitDefaultCompletionCmd()
	helpOn(root)
	strict(root)
	for _, c := range root.Commands() {
		if c.HasSubCommands() {
			strict(c)
		}
	}
	root.SetFlagErrorFunc(wrongFlag)
	complete(root)
	return root
}

func pluginCommand(bundle plugin.Bundle) *cobra.Command {
	return &cobra.Command{
		Use:     "plugin NAME",
		Short:   "Be the CNI plugin of that name, as the environment and standard input say",
		Example: "  CNI_COMMAND=VERSION trestle plugin bridge",
		Args: cobra.MatchAll(cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
			if _, held := bundle[args[0]]; !held {
				return noSuch("plugin", args[0], c.ValidArgs)
			}
			return nil
		}),
		ValidArgs: slices.Sorted(maps.Keys(bundle)),
		Run:       func(_ *cobra.Command, args []string) { bundle.Main(args[0]) },
	}
}
