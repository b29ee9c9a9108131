// Package loopback sets a container's lo up.
package loopback

import (
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{Name: "loopback", Parse: Parse, Plan: Plan, Place: attach.Anywhere}
}

// Config is empty: the plugin has no keys of its own.
type Config struct{}

// Parse has nothing to read; the shell has read the rest.
func Parse(*plugin.Request) (Config, error) { return Config{}, nil }

// Plan says that lo is up, whatever interface the call names. Which addresses it has is left to the kernel.
func Plan(_ Config, call attach.Call) (plan.Plan, error) {
	p := plan.Plan{Steps: []plan.Step{step.Loopback{Owner: call.Owner}}, Result: call.Result}
	if p.Result == nil {
		p.Result = &types100.Result{
			CNIVersion: types100.ImplementedSpecVersion,
			Interfaces: []*types100.Interface{{Name: "lo", Mac: "00:00:00:00:00:00", Sandbox: call.Netns}},
		}
	}
	return p, nil
}
