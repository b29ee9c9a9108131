package tool

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The page on debugging has a column for each exit status that the manual has.
func TestStatusesOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/debugging.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| command | 0 | 1 | 2 |\n")
	each(func(c *cobra.Command) {
		command := "`" + c.Name() + "`"
		if c.Name() == "plugin" {
			command = "a plugin"
		}
		statuses, _ := Manual(c.Name())
		found := 0
		for line := range strings.Lines(table) {
			if columns := strings.Split(line, "|"); len(columns) == 6 && strings.Contains(columns[1], command) {
				for _, meaning := range columns[2:5] {
					if strings.TrimSpace(meaning) != "" {
						found++
					}
				}
			}
		}
		if found != len(statuses) {
			t.Errorf("%s: the page has %d statuses, the manual %d", command, found, len(statuses))
		}
	})
}
