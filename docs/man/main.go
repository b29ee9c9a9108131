// Command man writes the manual pages of trestle(1) and its commands into a folder: make man.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/trestle-cni/trestle/pkg/operator/tool"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write makes the pages. SOURCE_DATE_EPOCH sets their date (reproducible-builds.org).
func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := tool.Command(plugin.Bundle{})
	root.DisableAutoGenTag = true
	return writePages(dir, root)
}

// writePages writes the pages of a command and of those below it.
func writePages(dir string, c *cobra.Command) error {
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		if err := writePages(dir, sub); err != nil {
			return err
		}
	}
	return writePage(dir, c)
}

// writePage writes one command's page, with the sections that cobra has no place for before its examples, as man-pages(7) orders them.
func writePage(dir string, c *cobra.Command) error {
	var page strings.Builder
	if err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "Trestle", Manual: "Container networking"}, &page); err != nil {
		return err
	}
	before, after := page.String(), ""
	for _, next := range []string{".SH EXAMPLE\n", ".SH SEE ALSO\n"} {
		if at := strings.Index(before, next); at >= 0 {
			before, after = before[:at], before[at:]
			break
		}
	}
	statuses, files := tool.Manual(c.Name())
	text := before + section("EXIT STATUS", statuses) + section("FILES", files) + after
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}

// section writes a list of names with what they mean (groff_man(7)).
func section(title string, entries []tool.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".SH %s\n", title)
	for _, e := range entries {
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fP\n%s\n", strings.ReplaceAll(e.Name, "-", "\\-"), e.Meaning)
	}
	return b.String() + "\n"
}
