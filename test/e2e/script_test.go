package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/space"
)

// TestScripts runs each script of testdata in a host of its own. Beside testscript's own commands a script has those of commands.
func TestScripts(t *testing.T) {
	for _, file := range scripts(t) {
		t.Run(named(file), func(t *testing.T) {
			t.Parallel()
			script(t, file, setup)
		})
	}
}

func scripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	must(t, err)
	return files
}

func named(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

func script(t *testing.T, file string, setup func(*testscript.Env) error) {
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		testscript.Run(t, testscript.Params{
			Files: []string{file}, Setup: setup, Cmds: commands(), Condition: condition, RequireUniqueNames: true, ContinueOnError: false,
		})
	})
}

// TestScriptsUnderIPTables runs those scripts again that say nothing of a backend, with iptables in all their configurations.
func TestScriptsUnderIPTables(t *testing.T) {
	for _, name := range []string{"del", "gc", "twofold"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/" + name + ".txtar")
			must(t, err)
			text = []byte(strings.NewReplacer(`"ipMasq": true`, `"ipMasq": true, "ipMasqBackend": "iptables"`,
				`"type": "portmap"`, `"type": "portmap", "backend": "iptables"`).Replace(string(text)))
			file := filepath.Join(t.TempDir(), name+".txtar")
			must(t, os.WriteFile(file, text, 0o644))
			script(t, file, setup)
		})
	}
}

// setup gives a script the plugins and the repository's networks, as an operator's shell would have them.
func setup(env *testscript.Env) error {
	top, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	env.Setenv("CNI_PATH", os.Getenv(pluginsVar))
	env.Setenv("CONF", filepath.Join(top, "conf"))
	env.Setenv("NETCONFPATH", filepath.Join(top, "conf"))
	env.Setenv("RESERVED", "/var/lib/cni/networks")
	env.Setenv("CAP_ARGS", "")
	return nil
}

// condition is what a script may ask of the kernel: makes:KIND, whether it makes links of the kind, for whoever runs the tests.
func condition(text string) (bool, error) {
	kind, is := strings.CutPrefix(text, "makes:")
	switch {
	case !is:
		return false, fmt.Errorf("condition %q: unknown", text)
	case kind == "tap": // asked for by a file
		return space.Tun(), nil
	}
	conn, err := rtnl.Open()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	return !errors.Is(conn.CanMake(kind), unix.EOPNOTSUPP), nil
}

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// hosts
		"netns":    netnsCmd,
		"gone":     goneCmd,
		"router":   routerCmd,
		"outside":  outsideCmd,
		"veth":     vethCmd,
		"leases":   leasesCmd,
		"probed":   probedCmd,
		"snapshot": snapshotCmd,
		"same":     sameCmd,
		"differs":  differsCmd,
		// other services of the host
		"firewalld": firewalldCmd,
		// traffic
		"serve": serveCmd,
		"ask":   askCmd,
		// calls
		"cni":       cniCmd,
		"reference": referenceCmd,
		"runtime":   runtimeCmd,
		"chained":   chainedCmd,
		// what happens behind a plugin's back
		"nftflush": nftFlushCmd,
		"nftdrop":  nftDropCmd,
		"hairpin":  hairpinCmd,
		"setting":  settingCmd,
	}
}
