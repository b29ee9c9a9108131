package tool

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// each calls f for every command that an operator has, but those that cobra brings.
func each(f func(*cobra.Command)) {
	for _, c := range Command(plugin.Bundle{"bridge": {}}).Commands() {
		if c.Name() != "completion" && c.Name() != "help" {
			f(c)
		}
	}
}

// A flag of one name is the same in every command that has it.
func TestFlagsMeanTheSame(t *testing.T) {
	first := make(map[string]*pflag.Flag)
	each(func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if same := first[f.Name]; same == nil {
				first[f.Name] = f
			} else if same.Usage != f.Usage || same.Shorthand != f.Shorthand {
				t.Errorf("%s --%s: %q, and elsewhere %q", c.Name(), f.Name, f.Usage, same.Usage)
			}
		})
	})
	for _, name := range []string{"results", "network", "bin-dir", "conf-dir", "json", "yes"} {
		if first[name] == nil {
			t.Errorf("--%s: no command has it", name)
		}
	}
}

// Every command that tells something tells it to programs as well, and docs/schema.md says how.
func TestEveryCommandHasJSON(t *testing.T) {
	each(func(c *cobra.Command) {
		if slices.Contains([]string{"plugin", "metrics", "pause", "resume"}, c.Name()) {
			return // whose output is the protocol's, and Prometheus'; or who does and tells nothing (doctor tells of a rest)
		}
		documented := false
		for _, a := range answers {
			documented = documented || strings.HasPrefix(a.command+" ", "trestle "+c.Name()+" ")
		}
		if c.Flags().Lookup("json") == nil || !documented {
			t.Errorf("%s: --json %v, in docs/schema.md %v", c.Name(), c.Flags().Lookup("json") != nil, documented)
		}
	})
}

// Every command's manual page has its exit statuses and its files.
func TestManualSections(t *testing.T) {
	each(func(c *cobra.Command) {
		statuses, files := Manual(c.Name())
		if len(statuses) < 2 || len(files) == 0 || c.Example == "" {
			t.Errorf("%s: %d statuses, %d files, example %q", c.Name(), len(statuses), len(files), c.Example)
		}
	})
}

// What is misspelt is an error that names what was likely meant: commands, flags, plugins, formats, networks.
func TestMisspelt(t *testing.T) {
	for _, c := range []struct{ words, want, near string }{
		{"lss", "lss: no such command", "nearest: ls"},
		{"completion bahs", "bahs: no such command", "nearest: bash"},
		{"help doctr", "doctr: no such command", "nearest: doctor"},
		{"ls --netwrok x", "--netwrok: no such flag", "nearest: --network"},
		{"gc --jsn", "--jsn: no such flag", "nearest: --json"},
		{"trace a b --cache", "--cache: no such flag", "one of "},
		{"plugin brdge", "brdge: no such plugin", "nearest: bridge"},
		{"graph --format swg", "swg: no such format", "nearest: svg"},
		{"graph --format pdf", "pdf: no such format", "one of dot, json, mermaid, svg, text"},
		{"ls -q", "unknown shorthand flag: 'q'", "see trestle ls --help"},
		{"ls --json=maybe", "invalid argument \"maybe\"", "see trestle ls --help"},
	} {
		root := Command(plugin.Bundle{"bridge": {}, "portmap": {}})
		root.SetArgs(strings.Fields(c.words))
		var out bytes.Buffer
		root.SetOut(&out)
		err := root.ExecuteContext(t.Context())
		if err == nil {
			t.Errorf("%s: no error, and %q", c.words, out.String())
			continue
		}
		complain(&out, complaintOf(err))
		if got := out.String(); !strings.Contains(got, c.want) || !strings.Contains(got, c.near) {
			t.Errorf("%s: %q, want %q and %q", c.words, got, c.want, c.near)
		}
	}
	host := &observe.Host{Networks: []*observe.Network{{Name: "front"}, {Name: "back"}}}
	for name, want := range map[string]string{"fornt": "nearest: front", "x": "one of front, back"} {
		if err := knownNetwork(host, name); err == nil || !strings.Contains(complaintOf(err), want) {
			t.Errorf("network %s: %v, want %q", name, err, want)
		}
	}
	if err := knownNetwork(host, "back"); err != nil {
		t.Error(err)
	}
}

// The version is said by a flag and by a command, and has what a report needs.
func TestVersion(t *testing.T) {
	for words, want := range map[string]string{"--version": "trestle version development (commit unknown, go", "version": "plugins: bridge", "version --json": `"cniVersions": [`} {
		root := Command(plugin.Bundle{"bridge": {}})
		root.SetArgs(strings.Fields(words))
		var out bytes.Buffer
		root.SetOut(&out)
		if err := root.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, %q, want %q", words, err, out.String(), want)
		}
	}
}

// Shells are offered the formats; what a host has, test/e2e asks for.
func TestCompletion(t *testing.T) {
	root := Command(plugin.Bundle{})
	root.SetArgs([]string{"__complete", "graph", "--format", ""})
	var out bytes.Buffer
	root.SetOut(&out)
	if err := root.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(out.String(), "dot\njson\nmermaid\nsvg\ntext\n") {
		t.Errorf("%v: %q", err, out.String())
	}
}

// Where 1 is an answer, a question that could not be asked has another status: misspelt flags, missing and superfluous words, names that there are not.
func TestStatusOfWhatFailed(t *testing.T) {
	for words, want := range map[string]int{
		"trace": 2, "trace a": 2, "trace a b c": 2, "trace --x a b": 2, "trace nobody-here nobody-there": 2, "trace host 127.0.0.1:0": 2,
		"doctor x": 2, "doctor --x": 2, "doctor --conf-dir /none": 2, "ls --x": 1, "ls x": 1, "lint": 1,
	} {
		if got := Main(plugin.Bundle{"bridge": {}}, strings.Fields(words)); got != want {
			t.Errorf("%s: status %d, want %d", words, got, want)
		}
	}
}
