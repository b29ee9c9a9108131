package tap

import (
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
	Form step.Tap
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone: endpoint.ReadLone(req, false),
		Form: step.Tap{Owner: k.Number("owner", -1), Group: k.Number("group", -1), MultiQueue: k.Bool("multiQueue", false),
			Label: k.String("selinuxContext", ""), Bridge: k.String("bridge", "")},
	}
	c.MAC = endpoint.LinkMAC(req)
	c.Form.VnetHdr = k.Bool("vnetHdr", c.Form.Owner >= 0 && c.Form.Group >= 0 && c.Form.Label == "") // as the reference makes them
	if c.Form.Bridge != "" && !plugin.ValidLinkName(c.Form.Bridge) {
		k.Reject("bridge", c.Form.Bridge, "must be the name of a link: "+plugin.LinkNameRule)
	}
	return c, k.Err()
}
