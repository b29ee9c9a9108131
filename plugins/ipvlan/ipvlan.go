// Package ipvlan gives a container IP addresses of its own on the wire of one of the host's links, with that link's Ethernet address: for wires that let one address a port pass.
package ipvlan

import (
	"cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
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

// Plan says what one container's attachment consists of. It is pure. Without an address plugin there may be the addresses of the plugin before.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	hold := endpoint.Hold{
		Kernel: true, Silent: c.Form.Mode != "l2",
		Make: endpoint.Link(call, c.Form, c.Parent),
	}
	if c.IPAM == "" {
		hold.Brings = new(step.Network)
		call.Result = cmp.Or(call.Result, c.Before)
	}
	return c.Lone.Plan(call, hold)
}
