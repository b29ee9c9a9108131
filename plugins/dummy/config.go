package dummy

import (
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	endpoint.Lone
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Lone: endpoint.ReadLone(req, true),
	}
	c.MAC = k.MAC("mac")
	return c, k.Err()
}
