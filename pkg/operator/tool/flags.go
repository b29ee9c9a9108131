package tool

import (
	"github.com/spf13/cobra"
)

// A flag of one name means the same in every command, and so is made in one place.

func jsonFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "json", false, "print JSON (docs/schema.md)")
}
