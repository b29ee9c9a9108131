// Package ipvlan gives a container IP addresses of its own on the wire of one of the host's links, with that link's Ethernet address: for wires that let one address a port pass.
package ipvlan

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:  "ipvlan",
		Parse: Parse,
		Plan:  Plan,
		IPAM:  func(c Config) string { return c.IPAM },
	}
}

// Plan says what one container's attachment consists of. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	return c.Lone.Plan(call, endpoint.Hold{
		Kernel: true, Silent: c.Form.Mode != "l2",
		Make: endpoint.Link(call, c.Form, c.Parent),
	})
}
