// Package sbr leads what a container sends from the addresses of an interface out by that interface (source based routing), chained after the plugin that
// made it.
package sbr

import "github.com/trestle-cni/trestle/pkg/attach"

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{Name: "sbr", Parse: Parse, Plan: Plan, Place: attach.After}
}
