package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBundle runs the scripts on the bundle as it is installed. The one about iptables takes as long as all others, most of it in programs
// that are not ours, and waits for a long run.
func TestBundle(t *testing.T) {
	for _, file := range scripts(t) {
		if named(file) == "iptables" && os.Getenv("TRESTLE_LONG") == "" {
			continue
		}
		t.Run(named(file), func(t *testing.T) {
			t.Parallel()
			script(t, file, func(env *testscript.Env) error {
				os.Setenv(pluginsVar, os.Getenv(bundleVar))
				return setup(env)
			})
		})
	}
}

// A script is about networks if it adds containers to them, and calls no plugin by its own name.
var (
	byNetwork = regexp.MustCompile(`(?m)^(exec cnitool|runtime) add `)
	byName    = regexp.MustCompile(`(?m)^(! )?(cni|reference) `)
)

// TestOneExec runs the scripts that are about networks with each network as a list in the plugin trestle: the same commands, the same answers.
func TestOneExec(t *testing.T) {
	for _, file := range scripts(t) {
		text, err := os.ReadFile(file)
		must(t, err)
		if !byNetwork.Match(text) || byName.Match(text) {
			continue
		}
		t.Run(named(file), func(t *testing.T) {
			t.Parallel()
			script(t, file, func(env *testscript.Env) error {
				os.Setenv(pluginsVar, os.Getenv(bundleVar))
				if err := setup(env); err != nil {
					return err
				}
				return oneExec(env)
			})
		})
	}
}

// oneExec rewrites the script's own networks, and gives it rewritten copies of the repository's.
func oneExec(env *testscript.Env) error {
	conf := filepath.Join(env.WorkDir, "conf-one")
	if err := os.CopyFS(conf, os.DirFS(env.Getenv("CONF"))); err != nil {
		return err
	}
	env.Setenv("CONF", conf)
	env.Setenv("NETCONFPATH", conf)
	return filepath.WalkDir(env.WorkDir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".conflist" {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			text, err = listed(text)
		}
		if err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	})
}

// listed makes of a network's plugins one, with the capabilities of all. What is no network is left as it is.
func listed(text []byte) ([]byte, error) {
	var network map[string]any
	if json.Unmarshal(text, &network) != nil {
		return text, nil
	}
	capabilities, plugins := make(map[string]any), network["plugins"]
	entries, _ := plugins.([]any)
	for _, entry := range entries {
		plugin, _ := entry.(map[string]any)
		if plugin["type"] == "trestle" {
			return text, nil
		}
		declared, _ := plugin["capabilities"].(map[string]any)
		for name, is := range declared {
			capabilities[name] = is
		}
	}
	network["plugins"] = []any{map[string]any{"type": "trestle", "capabilities": capabilities, "plugins": plugins}}
	return json.Marshal(network)
}
