// Package e2e runs the built plugins as a runtime does: by name from CNI_PATH, through cnitool, through libcni, and by hand with what
// real runtimes were seen to send. The scripts in testdata are the tests; each has a host of its own.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/nstest"
)

// The suite's binaries are built once, and the children that nstest starts find them by these variables. E2E_PLUGINS may be set by
// hand to run the suite against an installed release, or to the word "bundle" for the one that is built.
const (
	pluginsVar = "E2E_PLUGINS" // the folder with the plugins
	bundleVar  = "E2E_BUNDLE"  // the folder with the bundle under the plugins' names
	toolsVar   = "E2E_TOOLS"   // the only folder in a script's PATH
	pathVar    = "E2E_PATH"    // the PATH of whoever started the tests
)

func TestMain(m *testing.M) {
	if os.Getenv(toolsVar) != "" {
		os.Exit(m.Run())
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil { // most of them wait for events, more than two processors have to do
		panic(err)
	}
	os.Exit(built.Run(m, "e2e", prepare))
}

// prepare builds what the scripts run, and leaves a PATH that holds iproute2, a shell and cnitool: no iptables, and no nft.
func prepare(dir string) error {
	plugins, bundle, tools := filepath.Join(dir, "plugins"), filepath.Join(dir, "bundle"), filepath.Join(dir, "tools")
	if err := built.Into(plugins, "../../cmd/..."); err != nil {
		return err
	}
	if err := install(filepath.Join(plugins, "trestle"), bundle); err != nil {
		return err
	}
	switch given := os.Getenv(pluginsVar); given {
	case "":
	case "bundle":
		plugins = bundle
	default:
		plugins = given
	}
	if err := built.Into(tools, "github.com/containernetworking/cni/cnitool", "../demo/peer"); err != nil {
		return err
	}
	for _, name := range []string{"ip", "sh"} {
		file, err := exec.LookPath(name)
		if err != nil {
			return fmt.Errorf("%w: see test/need", err)
		}
		if err := os.Symlink(file, filepath.Join(tools, name)); err != nil {
			return err
		}
	}
	os.Setenv(pluginsVar, plugins)
	os.Setenv(bundleVar, bundle)
	os.Setenv(toolsVar, tools)
	os.Setenv(pathVar, os.Getenv("PATH"))
	return nil
}

// install puts the bundle in place as an operator does.
func install(trestle, into string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command(trestle, "install", "--bin-dir", into).CombinedOutput(); err != nil {
		return fmt.Errorf("trestle install: %w\n%s", err, out)
	}
	return nil
}

var must = nstest.Must
