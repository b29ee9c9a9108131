package laws_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/plugin"
	hostlocal "github.com/trestle-cni/trestle/plugins/host-local"

	"github.com/trestle-cni/trestle/plugins/bridge"
	"github.com/trestle-cni/trestle/plugins/loopback"
	"github.com/trestle-cni/trestle/plugins/portmap"
	"github.com/trestle-cni/trestle/test/laws"
)

// kinds are the plugins that the laws are held against.
func kinds() map[string]laws.Kind {
	return map[string]laws.Kind{
		"bridge":     laws.Of(bridge.Kind()),
		"loopback":   laws.Of(loopback.Kind()),
		"portmap":    laws.Of(portmap.Kind()),
		"host-local": laws.Address(hostlocal.Plugin()),
	}
}

// The test binary is a plugin, too, whose plans are rewritten. The built plugins are found by pathVar.
const (
	pluginVar  = "LAWS_PLUGIN"
	rewriteVar = "LAWS_REWRITE"
	pathVar    = "LAWS_PATH"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(pluginVar); name != "" {
		bePlugin(name)
	}
	if os.Getenv(pathVar) != "" {
		os.Exit(m.Run())
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // the kernel's grace periods are what takes the time, not the processor
		panic(err)
	}
	dir, err := os.MkdirTemp("", "trestle-laws-")
	if err == nil {
		err = build(dir)
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "laws:", err)
	} else {
		os.Setenv(pathVar, dir)
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

func bePlugin(name string) {
	rewrite, err := rewriteOf(os.Getenv(rewriteVar))
	if err != nil {
		fmt.Fprintln(os.Stderr, "laws:", err)
		os.Exit(2)
	}
	plugin.Main(kinds()[name].With(rewrite))
}

// rewriteOf finds a rewrite by its name.
func rewriteOf(name string) (laws.Rewrite, error) {
	if strings.HasPrefix(name, laws.Dying) {
		return laws.Mortal(name)
	}
	if socket, ok := strings.CutPrefix(name, laws.Waiting); ok {
		return nil, laws.Wait(socket)
	}
	if name == laws.Planted {
		return lonely()
	}
	return nil, fmt.Errorf("rewrite %q: unknown", name)
}

// program is this test binary as a plugin.
func program(name, rewrite string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{pluginVar + "=" + name, rewriteVar + "=" + rewrite}
	return cmd
}

func build(into string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", into+"/", "../../cmd/bridge", "../../cmd/host-local",
		"../../cmd/loopback", "../../cmd/portmap")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
