package macvlan

import (
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Parent   step.Parent
	Form     step.Macvlan
	HostShim bool
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone:     endpoint.ReadLone(req, false),
		Parent:   endpoint.Parent(k),
		Form:     step.Macvlan{Mode: k.String("mode", "bridge"), Queued: uint32(k.Number("bcqueuelen", 0))},
		HostShim: k.Bool("hostShim", false),
	}
	c.MAC = endpoint.LinkMAC(req)
	if c.Form.Mode == "" {
		c.Form.Mode = "bridge"
	}
	if modes := step.MacvlanModes(); !slices.Contains(modes, c.Form.Mode) {
		k.Reject("mode", c.Form.Mode, "must be one of "+strings.Join(modes, ", "))
	}
	if c.HostShim {
		c.rejectShim(k.Reject)
	}
	return c, k.Err()
}

// rejectShim complains of what keeps the host from having a link of its own beside the containers'.
func (c Config) rejectShim(reject func(key string, value any, rule string)) {
	switch {
	case c.Form.Mode != "bridge":
		reject("hostShim", true, "needs mode bridge: in mode "+c.Form.Mode+" links of one parent do not reach each other")
	case c.Parent.Inside:
		reject("hostShim", true, "cannot be combined with linkInContainer, whose parent the host has not")
	case c.IPAM == "":
		reject("hostShim", true, "needs ipam: the host's routes lead to the container's addresses")
	}
}
