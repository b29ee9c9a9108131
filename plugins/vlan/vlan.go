// Package vlan gives a container a VLAN of one of the host's links: what is on that wire with the VLAN's tag, and without it in the container.
package vlan

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:  "vlan",
		Parse: Parse,
		Plan:  Plan,
		IPAM:  func(c Config) string { return c.IPAM },
	}
}

// Plan says what one container's attachment consists of. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	return c.Lone.Plan(call, endpoint.Hold{
		Kernel: true,
		Make:   endpoint.Link(call, c.Form, c.Parent),
	})
}
