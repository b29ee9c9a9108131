package vlan

import (
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Parent step.Parent
	Form   step.Tagged
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone:   endpoint.ReadLone(req, false),
		Parent: endpoint.Parent(k),
		Form:   step.Tagged{ID: k.Int("vlanId", 0, 1, 4094)},
	}
	if c.Parent.Name == "" {
		k.Reject("master", "", "must name the link whose VLAN it is")
	}
	if !k.Has("vlanId") {
		k.Reject("vlanId", 0, "must be a whole number from 1 to 4094")
	}
	return c, k.Err()
}
