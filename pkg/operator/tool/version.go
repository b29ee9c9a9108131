package tool

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/plugin"
)

// versionAnswer is what `trestle version --json` prints.
type versionAnswer struct {
	Version     string   `json:"version"`
	Commit      string   `json:"commit"`
	Go          string   `json:"go"`       // with which it was built
	Platform    string   `json:"platform"` // for which
	CNIVersions []string `json:"cniVersions"`
	Plugins     []string `json:"plugins"` // that the binary is
}

func thisVersion(names []string) versionAnswer {
	version, commit := plugin.Build()
	return versionAnswer{version, commit, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, plugin.Versions(), some(names)}
}

func (v versionAnswer) String() string {
	return fmt.Sprintf("trestle %s (commit %s, %s, %s)", v.Version, v.Commit, v.Go, v.Platform)
}

func versionCommand(names []string) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is, which plugins it is, and which versions of CNI they speak",
		Long:    "Says of this binary what a report of a fault has to say. trestle --version is its first line, near enough.",
		Example: "  trestle version\n  trestle version --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			v := thisVersion(names)
			if asJSON {
				return printJSON(c.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s\nCNI %s\nplugins: %s\n", v, strings.Join(v.CNIVersions, ", "), strings.Join(v.Plugins, ", "))
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
