package tool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// examination is what the command doctor is asked for.
type examination struct {
	configs, results   string
	plugins            []string
	fix, yes, asObject bool
	asked              bool // the directory of configurations was named
}

func doctorCommand(bundle plugin.Bundle) *cobra.Command {
	var e examination
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with this host's container networking",
		Long: "Looks at the host, the configurations, the plugins and every attachment, and says of each fault what it is, why it matters and what\n" +
			"to do. docs/doctor.md has a section for each id. Nothing is changed, unless by --fix, which asks before each remedy. The status is 0\n" +
			"where nothing is wrong, 1 with warnings, and 2 with errors or where it could not look.",
		Example: "  trestle doctor\n  trestle doctor --json\n  trestle doctor --fix --yes",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			e.asked = c.Flags().Changed("conf-dir")
			return e.run(c.Context(), bundle, c.InOrStdin(), c.OutOrStdout(), told(c, e.asObject))
		},
	}
	failsWith(c, 2)
	configsFlag(c, &e.configs)
	pluginsFlag(c, &e.plugins, pluginDirs())
	resultsFlag(c, &e.results)
	c.Flags().BoolVar(&e.fix, "fix", false, "carry out the remedies that harm nothing, asking before each")
	yesFlag(c, &e.yes)
	jsonFlag(c, &e.asObject)
	return c
}

// status is an exit status that is not a failure of the tool's.
type status int

func (s status) Error() string { return fmt.Sprintf("status %d", int(s)) }

// run prints what was found. What is said of remedies goes to told, which is out for people.
func (e *examination) run(ctx context.Context, bundle plugin.Bundle, in io.Reader, out, told io.Writer) error {
	found, err := e.examine(ctx, bundle)
	if err != nil {
		return err
	}
	m := mender{e, bundle, bufio.NewScanner(in), told, make(map[doctor.Fix]bool)}
	for e.fix && m.mend(ctx, found) { // what is mended may uncover more
		if found, err = e.examine(ctx, bundle); err != nil {
			return err
		}
	}
	if e.asObject {
		err = printJSON(out, doctorAnswer{append([]doctor.Finding{}, found...)})
	} else {
		err = printFindings(out, found)
	}
	if worst := doctor.Status(found); err == nil && worst > 0 {
		return status(worst)
	}
	return err
}

// told is where people are told what a program that reads the answer does not look for there.
func told(c *cobra.Command, asObject bool) io.Writer {
	if asObject {
		return c.ErrOrStderr()
	}
	return c.OutOrStdout()
}

// doctorAnswer is what `trestle doctor --json` prints.
type doctorAnswer struct {
	Findings []doctor.Finding `json:"findings"` // the errors first
}

func printFindings(out io.Writer, found []doctor.Finding) error {
	s := newScreen(out)
	w := bufio.NewWriter(out)
	for _, f := range found {
		paint := map[doctor.Severity]colour{doctor.Error: red, doctor.Warning: yellow, doctor.Note: faint}[f.Severity]
		fmt.Fprintf(w, "%s %s: %s\n", s.paint(paint, string(f.Severity)), s.paint(strong, f.ID), safe(f.Object))
		fmt.Fprintf(w, "  %s\n  %s\n  remedy: %s\n", safe(f.What), s.paint(faint, "why: "+safe(f.Why)), safe(f.Remedy))
		if f.Fix != nil {
			fmt.Fprintf(w, "  trestle doctor --fix would %s\n", safe(f.Fix.String()))
		}
	}
	if doctor.Status(found) == 0 {
		fmt.Fprintln(w, "nothing wrong was found")
	}
	return w.Flush()
}

// mender carries out remedies. tried are those of this round and of earlier ones.
type mender struct {
	*examination
	bundle  plugin.Bundle
	answers *bufio.Scanner
	out     io.Writer
	tried   map[doctor.Fix]bool
}

// mend carries out the remedies, each once, and says whether any was.
func (m *mender) mend(ctx context.Context, found []doctor.Finding) (some bool) {
	for _, f := range found {
		if f.Fix == nil || m.tried[*f.Fix] {
			continue
		}
		m.tried[*f.Fix] = true
		fmt.Fprintf(m.out, "%s: %s\n", f.ID, safe(f.What))
		if !m.agreed(*f.Fix) {
			fmt.Fprintln(m.out, "left as it is")
			continue
		}
		some = true
		if err := m.carryOut(ctx, m.bundle, *f.Fix, m.out); err != nil {
			fmt.Fprintf(m.out, "%s: %s\n", safe(f.Fix.String()), safe(err.Error()))
			continue
		}
		fmt.Fprintf(m.out, "done: %s\n", safe(f.Fix.String()))
	}
	return some
}

// agreed asks whether the remedy is wanted.
func (m *mender) agreed(f doctor.Fix) bool {
	if m.yes {
		return true
	}
	fmt.Fprintf(m.out, "%s? [y/N] ", safe(f.String()))
	return m.answers.Scan() && strings.HasPrefix(strings.ToLower(strings.TrimSpace(m.answers.Text())), "y")
}
