package tap

import (
	"fmt"
	"math"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Form step.Tap
}

// mostID is the last number of a user or group: the one after it stands for none.
const mostID = math.MaxUint32 - 1

// mostMTU is that of the kernel's driver, in bytes (drivers/net/tun.c).
const mostMTU = 65535 - 14

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone: endpoint.ReadLone(req, false),
		Form: step.Tap{Owner: k.Large("owner", -1, 0, mostID), Group: k.Large("group", -1, 0, mostID), MultiQueue: k.Bool("multiQueue", false),
			Label: k.String("selinuxContext", ""), Bridge: k.String("bridge", "")},
	}
	if c.MTU > mostMTU {
		k.Reject("mtu", c.MTU, fmt.Sprintf("must be %d at most: the kernel keeps the room of an Ethernet header of 65535 bytes", mostMTU))
	}
	c.MAC = endpoint.LinkMAC(req)
	c.Form.VnetHdr = k.Bool("vnetHdr", c.Form.Owner >= 0 && c.Form.Group >= 0 && c.Form.Label == "") // as the reference makes them
	if c.Form.Bridge != "" && !plugin.ValidLinkName(c.Form.Bridge) {
		k.Reject("bridge", c.Form.Bridge, "must be the name of a link: "+plugin.LinkNameRule)
	}
	return c, k.Err()
}
