package tool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func lintCommand(bundle plugin.Bundle) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check network configurations as runtimes and plugins would, without running anything",
		Long: "Names all that is wrong with each file at once, with line and column, and hints at what is most often a slip of the pen: keys that no\n" +
			"plugin reads or that are given twice, plugins and capabilities of which nobody has heard, what will publish nothing, bursts of more than\n" +
			"a second, parents that move, and settings that this machine's own list does not allow. Plugins that are not of this binary are not looked into. - is standard input. The status is 1 if anything is wrong; hints alone are no error.",
		Example: "  trestle lint /etc/cni/net.d/*.conflist\n  cat /etc/cni/net.d/*.conflist | trestle lint -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			return lint(c.InOrStdin(), c.OutOrStdout(), bundle, files, asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// remark is a complaint or a hint.
type remark struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // none: it is about the whole file
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
	Hint   bool   `json:"hint,omitempty"` // it is no error
}

// lintAnswer is what `trestle lint --json` prints.
type lintAnswer struct {
	Remarks []remark `json:"remarks"`
}

// lint looks at every file. One that cannot be read is no reason to leave the others.
func lint(in io.Reader, out io.Writer, bundle plugin.Bundle, files []string, asJSON bool) error {
	remarks, wrong := []remark{}, 0
	names := make(map[string]string)
	for _, path := range slices.Compact(slices.Clone(files)) {
		data, err := readConfig(in, path)
		if err != nil {
			remarks = append(remarks, remark{File: path, Text: err.Error()})
			continue
		}
		l := &linter{bundle: bundle, path: path}
		l.file(data, names)
		for _, r := range l.remarks {
			if !slices.Contains(remarks, r) { // of an operator's own file, which several ask for
				remarks = append(remarks, r)
			}
		}
	}
	for _, r := range remarks {
		if !r.Hint {
			wrong++
		}
	}
	if asJSON {
		if err := printJSON(out, lintAnswer{remarks}); err != nil {
			return err
		}
	} else {
		printRemarks(newScreen(out), remarks)
	}
	if wrong > 0 {
		return fault.New(fault.Config, "", "lint: %d complaints", wrong)
	}
	return nil
}

// readConfig reads a file, or standard input where that is named so.
func readConfig(in io.Reader, path string) ([]byte, error) {
	if path != conflist.Stdin {
		file, err := os.Open(path)
		if err != nil {
			return nil, errors.Unwrap(err)
		}
		defer file.Close()
		in = file
	}
	data, err := plainfile.All(in)
	if inner := errors.Unwrap(err); inner != nil { // the path is said already
		err = inner
	}
	return data, err
}

func printRemarks(s screen, remarks []remark) {
	for _, r := range remarks {
		c := conflist.Complaint{File: r.File, Line: r.Line, Column: r.Column, Text: r.Text}
		if r.Hint {
			where := strings.TrimSuffix(c.String(), r.Text)
			fmt.Fprintf(s, "%s%s %s\n", safe(where), s.paint(yellow, "hint:"), safe(r.Text))
			continue
		}
		fmt.Fprintln(s, safe(c.String()))
	}
}
