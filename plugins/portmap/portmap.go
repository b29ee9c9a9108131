// Package portmap publishes ports of a container on its host, chained after the plugin that gave the container its addresses.
package portmap

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:   "portmap",
		Parse:  Parse,
		Plan:   Plan,
		Filter: func(c Config) (firewall.Filter, error) { return host.Open(c.Filter), nil },
		Place:  attach.After,
	}
}
