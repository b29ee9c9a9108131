package laws_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	hostlocal "github.com/trestle-cni/trestle/plugins/host-local"

	"github.com/trestle-cni/trestle/plugins/bandwidth"
	"github.com/trestle-cni/trestle/plugins/bridge"
	"github.com/trestle-cni/trestle/plugins/chain"
	"github.com/trestle-cni/trestle/plugins/dhcp"
	"github.com/trestle-cni/trestle/plugins/dummy"
	"github.com/trestle-cni/trestle/plugins/firewall"
	hostdevice "github.com/trestle-cni/trestle/plugins/host-device"
	"github.com/trestle-cni/trestle/plugins/ipvlan"
	"github.com/trestle-cni/trestle/plugins/loopback"
	"github.com/trestle-cni/trestle/plugins/macvlan"
	"github.com/trestle-cni/trestle/plugins/portmap"
	"github.com/trestle-cni/trestle/plugins/ptp"
	"github.com/trestle-cni/trestle/plugins/sbr"
	"github.com/trestle-cni/trestle/plugins/static"
	"github.com/trestle-cni/trestle/plugins/tap"
	"github.com/trestle-cni/trestle/plugins/tuning"
	"github.com/trestle-cni/trestle/plugins/vlan"
	"github.com/trestle-cni/trestle/plugins/vrf"
	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/laws"
	"github.com/trestle-cni/trestle/test/nstest"
)

// kinds are the plugins that the laws are held against.
func kinds() map[string]laws.Kind {
	kinds := map[string]laws.Kind{
		"bandwidth":   laws.Of(bandwidth.Kind()),
		"bridge":      laws.Of(bridge.Kind()),
		"firewall":    laws.Of(firewall.Kind()),
		"dhcp":        laws.Address(dhcp.Plugin()),
		"dummy":       laws.Of(dummy.Kind()),
		"ipvlan":      laws.Of(ipvlan.Kind()),
		"tap":         laws.Of(tap.Kind()),
		"vlan":        laws.Of(vlan.Kind()),
		"host-device": laws.Of(hostdevice.Kind()),
		"loopback":    laws.Of(loopback.Kind()),
		"macvlan":     laws.Of(macvlan.Kind()),
		"portmap":     laws.Of(portmap.Kind()),
		"ptp":         laws.Of(ptp.Kind()),
		"sbr":         laws.Of(sbr.Kind()),
		"static":      laws.Address(static.Plugin()),
		"tuning":      laws.Of(tuning.Kind()),
		"vrf":         laws.Of(vrf.Kind()),
		"host-local":  laws.Address(hostlocal.Plugin()),
	}
	kinds[chain.Name] = laws.List(chain.Plugin(), maps.Clone(kinds))
	return kinds
}

// The test binary is a plugin, too, whose plans are rewritten. The built plugins are found by pathVar, the bundle under their names by bundleVar.
const (
	pluginVar  = "LAWS_PLUGIN"
	rewriteVar = "LAWS_REWRITE"
	pathVar    = "LAWS_PATH"
	bundleVar  = "LAWS_BUNDLE"
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
	os.Exit(built.Run(m, "laws", func(dir string) error {
		if err := build(dir); err != nil {
			return err
		}
		return errors.Join(os.Setenv(pathVar, dir), os.Setenv(bundleVar, filepath.Join(dir, "bundle")))
	}))
}

func bePlugin(name string) {
	rewrite, err := rewriteOf(os.Getenv(rewriteVar))
	if err != nil {
		fmt.Fprintln(os.Stderr, "laws:", err)
		os.Exit(2)
	}
	kinds()[name].With(rewrite).Main(name)
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

// build puts the plugins into the folder, and the bundle into one below it, as an operator installs it.
func build(into string) error {
	if err := built.Into(into, "../../cmd/..."); err != nil {
		return err
	}
	bundle := filepath.Join(into, "bundle")
	if err := os.Mkdir(bundle, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command(filepath.Join(into, "trestle"), "install", "--bin-dir", bundle).CombinedOutput(); err != nil {
		return fmt.Errorf("install: %w\n%s", err, out)
	}
	return nil
}

var must = nstest.Must
