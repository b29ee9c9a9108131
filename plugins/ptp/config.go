package ptp

import (
	"net/netip"
	"strconv"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	IPMasq      bool
	Backend     host.Backend
	MasqExclude []netip.Prefix // masked
	MTU         int            // bytes, both ends; 0: the kernel's default
	Kind        string         // of the pair; empty: veth
	Proxy       bool           // the gateways are nobody's addresses: the container knows at which Ethernet address they are
	IPAM        string         // empty: a pair of links without addresses
	Late        bool           // it looks at the interface
	DNS         *types.DNS
	Sysctls     []step.Sysctl
	RPFilter    string // of the host's end; empty: the kernel's default
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		IPMasq:      k.Bool("ipMasq", false),
		Backend:     host.Parse(k, "ipMasqBackend"),
		MasqExclude: endpoint.Exclude(k),
		MTU:         endpoint.MTU(k),
		Kind:        kind(k),
		IPAM:        endpoint.IPAM(k),
		Late:        !attach.Early(k),
		DNS:         endpoint.DNS(k),
		Sysctls:     endpoint.LinkSysctls(k, req.IfName),
	}
	if k.Has("rpFilter") {
		c.RPFilter = strconv.Itoa(k.Int("rpFilter", 0, 0, 2))
	}
	mode := k.String("gatewayMode", "address")
	if c.Proxy = mode == "proxy"; !c.Proxy && mode != "address" {
		k.Reject("gatewayMode", mode, "must be address or proxy")
	}
	return c, k.Err()
}

// kind is what pair of links is asked for.
func kind(k *keys.Object) string {
	switch kind := k.String("linkType", ""); kind {
	case "", rtnl.VethKind:
		return ""
	case step.Netkit:
		return kind
	default:
		k.Reject("linkType", kind, "must be veth or netkit")
		return ""
	}
}
