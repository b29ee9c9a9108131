// Package ptp joins a container to its host by a pair of links of its own: no bridge, no neighbours, all that it sends passes the host's routing and its
// packet filter. So an ADD costs the same however many containers there are.
package ptp

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:   "ptp",
		Parse:  Parse,
		Plan:   Plan,
		IPAM:   func(c Config) string { return c.IPAM },
		Filter: func(c Config) (firewall.Filter, error) { return host.Open(host.Choice{Backend: c.Backend}), nil },
	}
}
