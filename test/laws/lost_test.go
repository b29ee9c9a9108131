package laws_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/laws"
)

// lone are networks of each plugin that makes an interface and links no packet filter.
var lone = []string{"macvlan/testdata/config/wire.json", "ipvlan/testdata/config/dual-stack.json", "vlan/testdata/config/bare.json", "tap/testdata/config/dual-stack.json",
	"dummy/testdata/config/dual-stack.json", "host-device/testdata/config/dual-stack.json"}

// TestLostPlugins holds law 13 against them with what uses the packet filter chained after, in both backends, by the separate binaries and by the bundle: where the list has lost
// that, what it made goes with the interface all the same.
func TestLostPlugins(t *testing.T) {
	for name, path := range map[string]string{"separate": os.Getenv(pathVar), "bundle": os.Getenv(bundleVar)} {
		for _, backend := range backends {
			for _, file := range lone {
				chain := filtered(t, file, backend)
				if name == "bundle" && chain.Plugins[0].Type() != "macvlan" { // the way there is one
					continue
				}
				t.Run(name+"/"+backend+"/"+chain.Plugins[0].Type(), func(t *testing.T) {
					t.Parallel()
					hold(t, laws.Law{Holds: laws.Other}, chain, func(w *laws.World) { w.Path = path })
				})
			}
		}
	}
}

var backends = []string{"nftables", "iptables"}

// filtered is the network with what uses the packet filter chained after.
func filtered(t *testing.T, file, backend string) laws.Chain {
	t.Helper()
	chain := config(t, file)
	for _, entry := range []string{`{"type": "portmap", "backend": "` + backend + `", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}`,
		`{"type": "firewall", "backend": "` + backend + `"}`} {
		var added laws.Config
		must(t, json.Unmarshal([]byte(entry), &added))
		chain.Plugins = append(chain.Plugins, added)
	}
	if chain.Plugins[0]["ipam"] == nil {
		chain.Plugins[0]["ipam"] = json.RawMessage(`{"type": "host-local", "subnet": "10.1.0.0/24"}`)
	}
	return chain
}

// TestExchangedMakers exchanges the plugin that makes the interface for each of the others, by the separate binaries and, where many plugins are one, by the bundle.
func TestExchangedMakers(t *testing.T) {
	pairs := []string{"bridge/testdata/config/iptables.json", "bridge/testdata/config/dual-stack.json", "ptp/testdata/config/iptables.json", "ptp/testdata/config/dual-stack.json"}
	for turn, file := range slices.Concat(pairs, lone, []string{"macvlan/testdata/config/shim.json"}) {
		path := map[bool]string{true: os.Getenv(pathVar), false: os.Getenv(bundleVar)}[turn%4 != 0]
		chain := filtered(t, file, backends[turn%2])
		exchangeMakers(t, strings.Replace(file, "testdata/config/", "", 1), chain, path, turn)
	}
	list, err := laws.ReadList("../../conf/61-node-one.conflist")
	must(t, err)
	exchangeMakers(t, "list", list, os.Getenv(bundleVar), 0)
}

func exchangeMakers(t *testing.T, name string, chain laws.Chain, path string, turn int) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		hold(t, laws.Law{Holds: laws.Makers}, chain, func(w *laws.World) { w.Path, w.Turn = path, turn })
	})
}
