// Package firewall lets a container's traffic pass its host, whatever that does to the traffic of others, and keeps bridges from each other. It is
// chained after the plugin that gave the container its addresses.
package firewall

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:     "firewall",
		Equals:   "v1.10.0",
		Versions: plugin.Versions()[2:], // from 0.3.0 on a result says which addresses are the container's
		Parse:    Parse,
		Plan:     Plan,
		Filter:   func(c Config) (firewall.Filter, error) { return host.Open(c.Filter), nil },
		Place:    attach.After,
	}
}
