// Package tuning changes settings of a container's interface and of the network stack that it stands on, chained after the plugin that made the interface, and
// gives back on DEL what was there before.
package tuning

import (
	"encoding/json"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{Name: "tuning", Args: true, Parse: Parse, Plan: Plan, Place: attach.After, Ahead: ahead}
}

// ahead are the settings of the interface: some have no effect once that is up.
func ahead(req *plugin.Request) map[string]json.RawMessage {
	config, err := Parse(req)
	settings := make(map[string]string)
	for _, s := range config.Sysctls {
		if endpoint.OfLink(s.Key, req.IfName) {
			settings[s.Name] = s.Value
		}
	}
	if err != nil || len(settings) == 0 {
		return nil // its own ADD says what is wrong
	}
	text, _ := json.Marshal(settings) // a map of strings
	return map[string]json.RawMessage{"sysctl": text}
}
