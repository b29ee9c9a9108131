// Package hostdevice lends a container a link of the host's, whole, and brings it back as it was.
package hostdevice

import (
	"net"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:  "host-device",
		Parse: Parse,
		Plan:  Plan,
		IPAM:  func(c Config) string { return c.IPAM },
	}
}

// Plan says what one container's attachment consists of. It is pure. A device that a program drives has no link, and gets none.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	hold := endpoint.Hold{
		Kernel: true,
		None:   c.ForPrograms,
		Brings: c.Network,
		Make: func(net.HardwareAddr, int) plan.Step {
			return step.Moved{Owner: call.Owner, IfName: call.IfName, Device: c.Device, Force: c.Force, Return: c.Return, Along: c.Network != nil}
		},
	}
	if c.Network != nil {
		hold.Beside = func(*endpoint.Endpoint) []plan.Step {
			return []plan.Step{step.Along{Owner: call.Owner, IfName: call.IfName}}
		}
	}
	return c.Lone.Plan(call, hold)
}
