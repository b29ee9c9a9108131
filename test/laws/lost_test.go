package laws_test

import (
	"encoding/json"
	"os"
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
		for _, backend := range []string{"nftables", "iptables"} {
			for _, file := range lone {
				chain := config(t, file)
				if name == "bundle" && chain.Plugins[0].Type() != "macvlan" { // the way there is one
					continue
				}
				for _, entry := range []string{`{"type": "portmap", "backend": "` + backend + `", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}`,
					`{"type": "firewall", "backend": "` + backend + `"}`} {
					var added laws.Config
					must(t, json.Unmarshal([]byte(entry), &added))
					chain.Plugins = append(chain.Plugins, added)
				}
				if chain.Plugins[0]["ipam"] == nil {
					chain.Plugins[0]["ipam"] = json.RawMessage(`{"type": "host-local", "subnet": "10.1.0.0/24"}`)
				}
				t.Run(name+"/"+backend+"/"+chain.Plugins[0].Type(), func(t *testing.T) {
					t.Parallel()
					hold(t, laws.Law{Holds: laws.Other}, chain, func(w *laws.World) { w.Path = path })
				})
			}
		}
	}
}
