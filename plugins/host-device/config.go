package hostdevice

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Device      step.Device
	ForPrograms bool // a program drives the device, past the kernel
	Force       bool
	Return      step.Returned
	Network     *step.Network // nil: the host's network of the device stays behind
}

// Parse reads the configuration, and complains of all that is wrong with it at once. Whether a program drives the device, and for an
// ADD what network the host has on it, it asks the kernel.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone:   endpoint.ReadLone(req, false),
		Device: step.Device{Name: k.String("device", ""), MAC: k.MAC("hwaddr"), Path: k.String("kernelpath", ""), PCI: k.String("pciBusID", "")},
		Force:  k.Bool("force", false),
		Return: step.Returned(k.String("restore", string(step.LinkState))),
	}
	c.MTU = 0
	c.reject(req)
	if id := k.Object("runtimeConfig").String("deviceID", ""); id != "" {
		known := false
		if c.Device, known = c.Device.OfID(id); !known {
			k.Object("runtimeConfig").Reject("deviceID", id, "must be that of a PCI or an auxiliary device of this machine")
		}
	}
	c.ForPrograms = c.Device.ForPrograms()
	if k.Bool("useInterfaceNetwork", false) {
		return c, fault.Join(c.readNetwork(req), k.Err())
	}
	return c, k.Err()
}

// readNetwork looks what goes along.
func (c *Config) readNetwork(req *plugin.Request) (err error) {
	c.Network = new(step.Network)
	if c.ForPrograms {
		req.Keys.Reject("useInterfaceNetwork", true, "needs a link: a program drives the device")
	} else if req.Command == "ADD" {
		*c.Network, err = c.Device.Network()
	}
	return err
}

func (c Config) reject(req *plugin.Request) {
	k := req.Keys
	if c.Device.String() == "none" && !k.Object("runtimeConfig").Has("deviceID") {
		k.Reject("device", "", "must name the device, or hwaddr, kernelpath or pciBusID must")
	}
	if c.Device.Name != "" && !plugin.ValidLinkName(c.Device.Name) {
		k.Reject("device", c.Device.Name, "must be the name of a link: "+plugin.LinkNameRule)
	}
	if path := c.Device.Path; path != "" && (path != filepath.Clean(path) || !strings.HasPrefix(path, "/sys/devices/")) {
		k.Reject("kernelpath", path, "must be a path below /sys/devices")
	}
	if id := c.Device.PCI; strings.Trim(strings.ToLower(id), "0123456789abcdef:.") != "" || id != "" && !strings.Contains(id, ":") { // neither a path nor a pattern
		k.Reject("pciBusID", id, "must be an address, as 0000:00:1f.6")
	}
	if ways := []step.Returned{step.NameOnly, step.LinkState, step.Addressed}; !slices.Contains(ways, c.Return) {
		k.Reject("restore", c.Return, "must be none, link or addresses")
	}
}
