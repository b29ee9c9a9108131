// Package tuning changes settings of a container's interface and of the network stack that it stands on, chained after the plugin that made the interface, and
// gives back on DEL what was there before.
package tuning

import "github.com/trestle-cni/trestle/pkg/attach"

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{Name: "tuning", Args: true, Parse: Parse, Plan: Plan, Place: attach.After}
}
