// Package bandwidth bounds how fast a container sends and receives, chained after the plugin that made its pair of links.
package bandwidth

import "github.com/trestle-cni/trestle/pkg/attach"

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{Name: "bandwidth", Parse: Parse, Plan: Plan, Place: attach.After}
}
