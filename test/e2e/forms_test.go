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

// byHand matches a script that calls plugins by name, and not by a network's list alone.
var byHand = regexp.MustCompile(`(?m)^(! )?(cni|reference) `)

// TestOneExec runs the scripts that are about networks with each network as a list in the plugin trestle: the same commands, the same answers.
func TestOneExec(t *testing.T) {
	for _, file := range scripts(t) {
		text, err := os.ReadFile(file)
		must(t, err)
		if byHand.Match(text) {
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

// listed makes of a network's plugins one, with the capabilities of all.
func listed(text []byte) ([]byte, error) {
	var network map[string]any
	if err := json.Unmarshal(text, &network); err != nil {
		return nil, err
	}
	capabilities := make(map[string]any)
	for _, entry := range network["plugins"].([]any) {
		plugin := entry.(map[string]any)
		if plugin["type"] == "trestle" {
			return text, nil
		}
		declared, _ := plugin["capabilities"].(map[string]any)
		for name, is := range declared {
			capabilities[name] = is
		}
	}
	network["plugins"] = []any{map[string]any{"type": "trestle", "capabilities": capabilities, "plugins": network["plugins"]}}
	return json.Marshal(network)
}
