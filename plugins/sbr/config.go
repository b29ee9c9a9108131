package sbr

import (
	"math"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	Table    uint32 // 0: one of its own for each address
	Gateways []netip.Addr
	Hints    bool
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{Table: uint32(k.Large("table", 0, 1, math.MaxUint32)), Hints: k.Bool("addSourceHints", false)}
	has := make(map[bool]bool)
	for _, text := range k.Strings("gateways") {
		addr, err := netip.ParseAddr(text)
		if addr = addr.Unmap(); err != nil || has[addr.Is4()] {
			k.Reject("gateways", text, "must be an IP address, one of each family at most")
			continue
		}
		has[addr.Is4()] = true
		c.Gateways = append(c.Gateways, addr)
	}
	return c, k.Err()
}
