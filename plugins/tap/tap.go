// Package tap gives a container a link whose other end a program has, mostly a virtual machine's.
package tap

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:  "tap",
		Args:  true,
		Parse: Parse,
		Plan:  Plan,
		IPAM:  func(c Config) string { return c.IPAM },
	}
}

// Plan says what one container's attachment consists of. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	return c.Lone.Plan(call, endpoint.Hold{Make: endpoint.Link(call, c.Form, step.Parent{})})
}
