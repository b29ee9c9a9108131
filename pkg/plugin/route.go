package plugin

import (
	"encoding/json"
	"math"
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/keys"
)

// maxNumber is how high the kernel counts metrics and tables, which are of 32 bits; maxSize is how long a packet may be, in bytes.
const (
	maxNumber = min(math.MaxUint32, math.MaxInt)
	maxSize   = 65535
)

// Routes reads a list of routes under the key: of a configuration, or of a result. What the kernel would not take, or take for something else (it
// sees the lower 32 bits of a number), is complained of.
func Routes(o *keys.Object, key string) []*types.Route {
	var routes []*types.Route
	for i, entry := range o.Objects(key) {
		r := &types.Route{
			MTU:      entry.Int("mtu", 0, 0, maxSize),
			AdvMSS:   entry.Int("advmss", 0, 0, maxSize),
			Priority: entry.Int("priority", 0, 0, maxNumber),
			Table:    number(entry, "table", maxNumber),
			Scope:    number(entry, "scope", unix.RT_SCOPE_NOWHERE-1),
		}
		dst := entry.Prefix("dst")
		if first := o.List(key)[i][0]; !entry.Has("dst") && (first == '{' || first == 'n') { // anything else has been rejected
			entry.Reject("dst", nil, "must be an address and prefix length, as in 0.0.0.0/0")
		}
		if dst.IsValid() {
			r.Dst = net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())}
			r.GW = nextHop(entry, dst)
		}
		routes = append(routes, r)
	}
	return routes
}

// nextHop reads a route's gateway, which has the family of the destination. An address of zeros stands for none, and is left as it is.
func nextHop(entry *keys.Object, dst netip.Prefix) net.IP {
	gw := entry.Addr("gw")
	if gw.IsValid() && gw.Is4() != dst.Addr().Is4() {
		entry.Reject("gw", gw.String(), "must be of the family of "+dst.String())
	}
	return gw.AsSlice()
}

// number returns a number that may be zero, nil where it is not there.
func number(entry *keys.Object, key string, high int) *int {
	if !entry.Has(key) {
		return nil
	}
	n := entry.Int(key, 0, 0, high)
	return &n
}

// CheckRoutes complains of the routes of a result as Routes does of those of a configuration.
func CheckRoutes(routes []*types.Route) error {
	if len(routes) == 0 {
		return nil
	}
	text, err := json.Marshal(map[string]any{"routes": routes})
	if err != nil {
		return err
	}
	k, err := keys.Parse(text)
	if err != nil {
		return err
	}
	Routes(k, "routes")
	return k.Err()
}
