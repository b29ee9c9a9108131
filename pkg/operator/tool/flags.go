package tool

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/page"
)

// A flag of one name means the same in every command, and so is made in one place.

func jsonFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "json", false, "print JSON (docs/schema.md)")
}

// resultsFlag is where results are; trace once had another name for it, which scripts may have.
func resultsFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "results", cache.Dir, "where the runtimes keep their results")
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "cache-dir" {
			name = "results"
		}
		return pflag.NormalizedName(name)
	})
}

func networkFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "network", "", "of this network alone")
}

func configsFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "conf-dir", observe.Configs(), "where the networks' configurations are")
}

// pluginsFlag is where plugins are looked for; of an installation it is one directory.
func pluginsFlag(c *cobra.Command, to *[]string, usual []string) {
	*to = usual
	c.Flags().Var(&directories{to: to}, "bin-dir", pluginsText)
}

// directories are the value of a flag: several with commas between them, or by the flag once more.
type directories struct {
	to  *[]string
	set bool // those that are usual have gone
}

// String is how the usual ones are told.
func (d *directories) String() string { return "[" + strings.Join(*d.to, ",") + "]" }

// Type is what the flag takes.
func (d *directories) Type() string { return "strings" }

// Set takes what was said.
func (d *directories) Set(text string) error {
	if !d.set {
		*d.to, d.set = nil, true
	}
	*d.to = append(*d.to, strings.Split(text, ",")...)
	return nil
}

const pluginsText = "where a runtime has its plugins"

func yesFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "yes", false, "do it, and do not ask")
}

// noSuch is the fault for a word that is none of those that there are, with the nearest or, of a few, all.
func noSuch(what, word string, known []string) error {
	hint := "there is none"
	switch near := page.Near(word, known); {
	case len(near) > 0:
		hint = "nearest: " + strings.Join(near[:min(len(near), 3)], ", ")
	case len(known) > 0 && len(known) <= 20:
		hint = "one of " + strings.Join(known, ", ")
	case len(known) > 0:
		hint = fmt.Sprintf("there are %d", len(known))
	}
	return fault.New(fault.Config, hint, "%s: no such %s", safe(word), what)
}

// knownNetwork is nil for a network that is configured or of which there is something on the host, and for none at all.
func knownNetwork(host *observe.Host, name string) error {
	if name == "" || host.Network(name) != nil {
		return nil
	}
	var names []string
	for _, n := range host.Networks {
		names = append(names, n.Name)
	}
	return noSuch("network", name, names)
}

// wrongFlag adds to cobra's words which flag was likely meant.
func wrongFlag(c *cobra.Command, err error) error {
	word, is := strings.CutPrefix(err.Error(), "unknown flag: --")
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	if is {
		return noSuch("flag", "--"+word, names)
	}
	return fault.New(fault.Config, "see "+c.CommandPath()+" --help", "%w", err)
}

// strict makes a command that only has others refuse words that are none of them.
func strict(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return noSuch("command", args[0], commandsOf(c))
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

func commandsOf(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, sub.Name())
		}
	}
	return names
}

// helpOn makes `help WORD` refuse what is no command.
func helpOn(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Args = func(_ *cobra.Command, words []string) error {
				at := root
				for _, word := range words {
					next, _, err := at.Find([]string{word})
					if err != nil || next == at {
						return noSuch("command", word, commandsOf(at))
					}
					at = next
				}
				return nil
			}
		}
	}
}
