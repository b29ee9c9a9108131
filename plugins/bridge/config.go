package bridge

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Config is a bridge network's configuration, whole and valid. README.md explains each key.
type Config struct {
	Bridge           string
	IsGateway        bool
	IsDefaultGateway bool
	ForceAddress     bool
	IPMasq           bool
	Backend          host.Backend
	MasqExclude      []netip.Prefix // masked
	MTU              int            // bytes; 0: the kernel's default
	Hairpin          bool
	Promisc          bool
	VLAN             int   // 1 to 4094; 0: none
	Trunk            []int // ascending
	VLANFiltering    bool  // vlan is set, or vlanTrunk is there
	KeepDefaultVLAN  bool
	MACSpoofCheck    bool
	DAD              bool
	AcceptRA         advertisements
	LinkDown         bool // disableContainerInterface
	Isolated         bool
	IPAM             string // empty: an L2 network
	Blocks           bool   // its addresses are of subnets that come and go (host-local's rangesFrom)
	Late             bool   // the IPAM plugin looks at the interface
	DNS              *types.DNS
	MAC              net.HardwareAddr // nil: drawn
	Sysctls          []step.Sysctl    // of the interface, before it is up
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{
		Bridge:           k.String("bridge", "cni0"),
		IsGateway:        k.Bool("isGateway", false),
		IsDefaultGateway: k.Bool("isDefaultGateway", false),
		ForceAddress:     k.Bool("forceAddress", false),
		IPMasq:           k.Bool("ipMasq", false),
		Backend:          host.Parse(k, "ipMasqBackend"),
		MTU:              endpoint.MTU(k),
		Hairpin:          k.Bool("hairpinMode", false),
		Promisc:          k.Bool("promiscMode", false),
		VLAN:             k.Int("vlan", 0, 0, 4094),
		KeepDefaultVLAN:  k.Bool("preserveDefaultVlan", false),
		MACSpoofCheck:    k.Bool("macspoofchk", false),
		DAD:              k.Bool("enabledad", false),
		AcceptRA:         parseAcceptRA(k),
		LinkDown:         k.Bool("disableContainerInterface", false),
		Isolated:         k.Bool("portIsolation", false),
		IPAM:             endpoint.IPAM(k),
		Blocks:           k.Object("ipam").Has("rangesFrom"),
		Late:             !attach.Early(k),
		DNS:              endpoint.DNS(k),
		MAC:              endpoint.MAC(req),
		Sysctls:          endpoint.LinkSysctls(k, req.IfName),
	}
	if c.Bridge == "" {
		c.Bridge = "cni0"
	}
	c.IsGateway = c.IsGateway || c.IsDefaultGateway
	c.MasqExclude = endpoint.Exclude(k)
	c.Trunk = parseTrunk(k)
	c.VLANFiltering = c.VLAN != 0 || k.Has("vlanTrunk")
	c.reject(k)
	return c, k.Err()
}

// advertisements says whether the container takes router advertisements.
type advertisements string

// The values of acceptRA. Not given, the container takes them unless the gateway is the host, which sends none, and the IPAM plugin gave it an IPv6
// address.
const (
	unsaid  advertisements = ""
	taken   advertisements = "taken"
	refused advertisements = "refused"
)

func parseAcceptRA(k *keys.Object) advertisements {
	switch {
	case !k.Has("acceptRA"):
		return unsaid
	case k.Bool("acceptRA", false):
		return taken
	}
	return refused
}

// takesRA says whether advertisements are left as they are where the IPAM plugin gives an IPv6 address.
func (c Config) takesRA() bool {
	return c.AcceptRA == taken || c.AcceptRA == unsaid && (c.IPAM == "dhcp" || !c.IsGateway)
}

// reject complains of what no single key is wrong with.
func (c Config) reject(k *keys.Object) {
	if !plugin.ValidLinkName(c.Bridge) {
		k.Reject("bridge", c.Bridge, "must be the name of a link: "+plugin.LinkNameRule)
	}
	if c.Hairpin && c.Promisc {
		k.Reject("hairpinMode", true, "cannot be combined with promiscMode")
	}
	if c.LinkDown && c.IPAM != "" {
		k.Reject("disableContainerInterface", true, "cannot be combined with ipam, whose addresses need the interface up")
	}
	if c.VLAN != 0 && c.IsGateway && !plugin.ValidLinkName(c.vlanLink()) {
		k.Reject("bridge", c.Bridge, fmt.Sprintf("must be shorter: the gateway's interface %s may have 15 bytes", c.vlanLink()))
	}
}

// hostLink is the host's own interface in the containers' subnet, where the gateway's address is.
func (c Config) hostLink() string {
	if c.VLAN != 0 && c.IsGateway && c.l3() {
		return c.vlanLink()
	}
	return c.Bridge
}

// vlanLink is the host's interface on the VLAN, which has the gateway's address.
func (c Config) vlanLink() string { return fmt.Sprintf("%s.%d", c.Bridge, c.VLAN) }

// parseTrunk reads vlanTrunk: each entry an id, a range, or both.
func parseTrunk(k *keys.Object) []int {
	var vids []int
	for _, entry := range k.Objects("vlanTrunk") {
		low, high, id := entry.Int("minID", 0, 1, 4094), entry.Int("maxID", 0, 1, 4094), entry.Int("id", 0, 1, 4094)
		bad := low == 0 && entry.Has("minID") || high == 0 && entry.Has("maxID") // it has been rejected
		switch {
		case entry.Has("minID") && !entry.Has("maxID"):
			entry.Reject("minID", low, "must be given together with maxID")
		case entry.Has("maxID") && !entry.Has("minID"):
			entry.Reject("maxID", high, "must be given together with minID")
		case bad:
		case low > high:
			entry.Reject("minID", low, fmt.Sprintf("must not be above maxID %d", high))
		case low != 0:
			for vid := low; vid <= high; vid++ {
				vids = append(vids, vid)
			}
		}
		if id != 0 {
			vids = append(vids, id)
		}
	}
	order.By(vids, cmp.Compare[int])
	return slices.Compact(vids)
}
