package ipvlan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Parent step.Parent
	Form   step.IPvlan
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone:   endpoint.ReadLone(req, false),
		Parent: endpoint.Parent(k),
		Form:   step.IPvlan{Mode: cmp.Or(k.String("mode", ""), "l2"), Flag: cmp.Or(k.String("flags", ""), "bridge")},
	}
	if modes := step.IPvlanModes(); !slices.Contains(modes, c.Form.Mode) {
		k.Reject("mode", c.Form.Mode, "must be one of "+strings.Join(modes, ", "))
	}
	if flags := step.IPvlanFlags(); !slices.Contains(flags, c.Form.Flag) {
		k.Reject("flags", c.Form.Flag, "must be one of "+strings.Join(flags, ", "))
	}
	if c.IPAM == "dhcp" {
		k.Reject("ipam.type", c.IPAM, "cannot be used here: a server tells clients apart by Ethernet addresses, and these have their parent's")
	}
	if c.Parent.Name == "" && req.Command == "ADD" {
		c.Parent.Name = before(k)
	}
	return c, k.Err()
}

// before is the only interface that a plugin before made, which is the parent then.
func before(k *keys.Object) string {
	if links := k.Object("prevResult").Objects("interfaces"); len(links) == 1 {
		return links[0].String("name", "")
	}
	return ""
}
