// Package macvlan gives a container an Ethernet address of its own on the wire of one of the host's links: to everybody there it is a machine as any other.
package macvlan

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:  "macvlan",
		Args:  true,
		Parse: Parse,
		Plan:  Plan,
		IPAM:  func(c Config) string { return c.IPAM },
	}
}

// Plan says what one container's attachment to the wire consists of. It is pure. The host's own way to the container stands in it whether it is asked for or
// not, so that a DEL finds one that an earlier configuration asked for.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	return c.Lone.Plan(call, endpoint.Hold{
		Kernel: c.Form.Mode == step.Passthru,
		Make:   endpoint.Link(call, c.Form, c.Parent),
		Beside: func(e *endpoint.Endpoint) []plan.Step {
			return []plan.Step{step.Shim{Owner: call.Owner, Wanted: c.HostShim, IfName: call.IfName, Addrs: e.Addrs()}}
		},
	})
}
