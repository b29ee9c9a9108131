// Command man writes the manual pages of trestle(1) and its commands into a folder: make man.
package main

import (
	"fmt"
	"os"

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
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Trestle", Manual: "Container networking"}, dir)
}
