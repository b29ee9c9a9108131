package tool

import (
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// complete lets a shell complete what is on this host: names of networks and containers, formats, directories. It asks files alone, and so
// answers at once.
func complete(root *cobra.Command) {
	words := map[string]func() []string{"network": networkNames, "focus": containerNames, "diff": containerNames, "format": formatNames}
	for _, c := range root.Commands() {
		switch c.Name() {
		case "show", "context", "trace", "log":
			c.ValidArgsFunction = offer(func() []string { return append(containerNames(), networkNames()...) })
		case "lint":
			c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return []string{"conflist", "conf", "json"}, cobra.ShellCompDirectiveFilterFileExt
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if list := words[f.Name]; list != nil {
				_ = c.RegisterFlagCompletionFunc(f.Name, offer(list)) // it is there, and registered once
			}
			if slices.Contains([]string{"results", "conf-dir", "bin-dir"}, f.Name) {
				_ = c.MarkFlagDirname(f.Name)
			}
		})
	}
}

func offer(list func() []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names := list()
		slices.Sort(names)
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}

func formatNames() []string { return slices.Collect(maps.Keys(formats)) }

// networkNames are those that are configured, and those that a runtime remembers. What cannot be read has none.
func networkNames() (names []string) {
	files, _ := conflist.Load(observe.Configs())
	for _, f := range files {
		if f.Name != "" {
			names = append(names, f.Name)
		}
	}
	entries, _ := cache.Read(cache.Dir)
	for _, e := range entries {
		names = append(names, e.Network)
	}
	return names
}

// containerNames are the ids and pods that a runtime remembers, and the namespaces that have a name.
func containerNames() (names []string) {
	entries, _ := cache.Read(cache.Dir)
	for _, e := range entries {
		if names = append(names, e.ContainerID); e.Pod() != "" {
			names = append(names, e.Pod())
		}
	}
	for _, dir := range observe.Directories() {
		files, _ := os.ReadDir(dir)
		for _, file := range files {
			names = append(names, file.Name())
		}
	}
	return names
}
