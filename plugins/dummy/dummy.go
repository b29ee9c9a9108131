// Package dummy gives a container a link that leads nowhere, with addresses: programs can listen there, and nobody outside of the container is reached.
package dummy

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:  "dummy",
		Parse: Parse,
		Plan:  Plan,
		IPAM:  func(c Config) string { return c.IPAM },
	}
}

// Plan says what one container's attachment consists of. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	return c.Lone.Plan(call, endpoint.Hold{Make: endpoint.Link(call, step.Dummy{}, step.Parent{})})
}
