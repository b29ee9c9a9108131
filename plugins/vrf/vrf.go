// Package vrf puts a container's interface into a VRF, a routing table of its own, chained after the plugin that made it.
package vrf

import (
	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{Name: "vrf", Parse: Parse, Plan: Plan, Place: attach.After}
}

// Plan is one step. The result is passed on as it came.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	return plan.Plan{Steps: []plan.Step{step.VRF{IfName: call.IfName, Name: c.Name, Table: c.Table}}, Result: call.Result,
		Footing: []plan.Footing{step.Standing{IfName: call.IfName, Hosts: call.HostEnds()}}}, nil
}
