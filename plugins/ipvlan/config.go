package ipvlan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Parent step.Parent
	Form   step.IPvlan
	Before *types100.Result // addresses and routes of the plugin before, where no address plugin is named; nil: none
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
	if req.Command == "ADD" {
		err := c.chained(req)
		return c, fault.Join(err, k.Err())
	}
	return c, k.Err()
}

// chained takes from the plugin before what the configuration leaves open: its only interface is the parent, its addresses and routes are the link's.
func (c *Config) chained(req *plugin.Request) error {
	prev, err := req.PrevResult()
	if err != nil || prev == nil {
		return err
	}
	switch links := prev.Interfaces; {
	case c.Parent.Name != "":
	case len(links) == 1:
		c.Parent.Name = links[0].Name
	default:
		req.Keys.Reject("master", "", fmt.Sprintf("must name a link: the plugin before made %d", len(links)))
	}
	if c.IPAM == "" && len(prev.IPs) > 0 {
		c.Before = &types100.Result{IPs: prev.IPs, Routes: prev.Routes}
	}
	return nil
}
