package known

import (
	"cmp"
	"slices"

	"github.com/trestle-cni/trestle/pkg/operator/draw"
)

// Kinds of links, as the kernel calls them.
const (
	KindBridge  = "bridge"
	KindVeth    = "veth"
	KindNetkit  = "netkit"
	KindMacvlan = "macvlan"
	KindIPvlan  = "ipvlan"
	KindVLAN    = "vlan"
	KindTun     = "tuntap"
	KindIFB     = "ifb"
	KindDummy   = "dummy"
)

// tunnels are kinds of links that no plugin here makes, and that lead to where nobody follows.
var tunnels = []string{"vxlan", "wireguard"}

// linkOf is what is known of a kind of link, by the first plugin that makes it.
func linkOf(kind string) Link {
	for _, p := range table {
		for _, l := range p.Links {
			if l.Kind == kind {
				return l
			}
		}
	}
	return Link{Kind: kind, Opaque: slices.Contains(tunnels, kind)}
}

// Drawn is how a link of the kind is drawn that is on the host.
func Drawn(kind string) draw.Kind { return cmp.Or(linkOf(kind).Drawn, draw.HostEnd) }

// Opaque says whether it is not followed what becomes of a packet that goes out by a link of the kind.
func Opaque(kind string) bool { return linkOf(kind).Opaque }

// Stacked says whether a link of the kind hangs on a parent, and sends by that.
func Stacked(kind string) bool { return linkOf(kind).Stacked }

// Beside says whether a link of the kind stands beside the host's end of its attachment.
func Beside(kind string) bool { return linkOf(kind).Beside }

// Marked says whether the alias of a link of the kind is the one that ours have, where it is no owner's tag.
func Marked(kind, alias string) bool {
	mark := linkOf(kind).Mark
	return mark != "" && mark == alias
}
