//go:build kernels

package e2e

import "testing"

// TestKernelLinksInterchange is TestLinksInterchange of links that not every kernel has.
func TestKernelLinksInterchange(t *testing.T) {
	interchangeLinks(t, map[string]form{
		"ipvlan":         {plugin: "ipvlan", keys: `"master": "lan0", ` + reached},
		"ipvlan, l3":     {plugin: "ipvlan", keys: `"master": "lan0", "mode": "l3", "mtu": 1400, ` + reached},
		"vlan":           {plugin: "vlan", keys: `"master": "lan0", "vlanId": 5, ` + reached},
		"vlan, with mtu": {plugin: "vlan", keys: `"master": "lan0", "vlanId": 4094, "mtu": 1400, ` + reached},
		"dummy":          {plugin: "dummy", keys: reached, young: true},
		"vrf":            {plugin: "vrf", keys: `"vrfname": "blue"`, chained: true},
		"vrf, table":     {plugin: "vrf", keys: `"vrfname": "blue", "table": 77`, chained: true},
	})
}
