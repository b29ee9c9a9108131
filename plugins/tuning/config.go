package tuning

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/backup"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is what one container's interface and network stack are to be like, whole and valid. README.md explains each key.
type Config struct {
	DataDir  string
	MAC      net.HardwareAddr
	Promisc  bool
	MTU      int
	AllMulti string // on, off, or empty: as it is
	TxQLen   string // a number, or empty: as it is
	Sysctls  []step.Sysctl
}

// Parse reads the configuration, and complains of all that is wrong with it at once. What args.cni has goes before what the network has.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{DataDir: dataDir(k), MAC: parseMAC(req)}
	asked := k.Object("args").Object("cni")
	for _, from := range []*keys.Object{k, asked} {
		c.Promisc = from.Bool("promisc", c.Promisc)
		c.MTU = from.Int("mtu", c.MTU, 0, math.MaxInt32)
		if from.Has("allmulti") {
			c.AllMulti = map[bool]string{true: "on", false: "off"}[from.Bool("allmulti", false)]
		}
		if from.Has("txQLen") {
			c.TxQLen = fmt.Sprint(from.Int("txQLen", 0, 0, math.MaxInt32))
		}
		c.Sysctls = endpoint.Merged(c.Sysctls, endpoint.Sysctls(from, req.IfName))
	}
	return c, k.Err()
}

func dataDir(k *keys.Object) string {
	dir := cmp.Or(k.String("dataDir", ""), backup.DefaultDir)
	if !filepath.IsAbs(dir) {
		k.Reject("dataDir", dir, "must be a path from the root")
	}
	return filepath.Clean(dir)
}

// parseMAC takes the Ethernet address from the first source that has one.
func parseMAC(req *plugin.Request) net.HardwareAddr {
	k := req.Keys
	if asked := k.Object("args").Object("cni"); asked.Has("mac") {
		return asked.MAC("mac") // be it none
	}
	for _, mac := range []net.HardwareAddr{k.Object("runtimeConfig").MAC("mac"), endpoint.ArgsMAC(req), k.MAC("mac")} {
		if mac != nil {
			return mac
		}
	}
	return nil
}
