package reach

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
)

// Mode is how others are reached.
type Mode string

// The modes.
const (
	None   Mode = "none"   // by what others do: a fabric that routes
	Direct Mode = "direct" // by their address, where it is on a link of this host's
	VXLAN  Mode = "vxlan"  // through a tunnel
	Auto   Mode = "auto"   // directly where they are on a link, else through a tunnel
)

// Modes are all of them.
var Modes = []Mode{None, Direct, VXLAN, Auto}

// tunnels says whether there is a tunnel: who is reached directly by some may be reached through it by others.
func (m Mode) tunnels() bool { return m == VXLAN || m == Auto }

func (m Mode) directs() bool { return m == Direct || m == Auto }

// Ground is what this host's kernel says that is not ours to say: how it gets to others, and which link is the tunnel.
type Ground struct {
	Paths  map[netip.Addr]Path
	Tunnel int // index; 0: there is none yet
}

// Path is how the kernel gets to an address.
type Path struct {
	Link  int
	Near  bool // without a router
	Local bool // it is this host's own
}

// OfHost says whether the address can be one at which another host reaches this one: whoever says so wrote it down by hand, and the kernel would refuse a route by it.
func OfHost(addr netip.Addr) bool {
	return addr.IsGlobalUnicast() && !addr.Is4In6() && addr.Zone() == ""
}

// plan is what the kernel is to have, and which blocks cannot be reached, and why. It looks at nothing but its arguments.
func (c Config) plan(blocks []agent.Neighbour, g Ground) (want Set, complaints []string) {
	want = newSet()
	for _, b := range latest(blocks) {
		if b.Node == c.Node {
			c.own(want, b.Block, g)
			continue
		}
		if err := c.reach(want, b, g); err != nil {
			complaints = append(complaints, fmt.Sprintf("block %s of node %s: %v", b.Block, b.Node, err))
		}
	}
	slices.Sort(complaints)
	return want, complaints
}

// latest leaves of several words on a block the one with the highest epoch.
func latest(blocks []agent.Neighbour) map[netip.Prefix]agent.Neighbour {
	held := make(map[netip.Prefix]agent.Neighbour, len(blocks))
	for _, b := range blocks {
		if known, ok := held[b.Block]; !ok || known.Epoch < b.Epoch {
			held[b.Block] = b
		}
	}
	return held
}

// own gives this end of the tunnel the first address of the block, from which what the host itself sends through it comes: one of each family is enough.
func (c Config) own(want Set, block netip.Prefix, g Ground) {
	if !c.Mode.tunnels() || g.Tunnel == 0 {
		return
	}
	addr := block.Addr()
	for other := range want.Own {
		if other.Addr().Is4() != addr.Is4() {
			continue
		}
		if other.Addr().Less(addr) {
			return
		}
		delete(want.Own, other)
	}
	want.Own[netip.PrefixFrom(addr, addr.BitLen())] = true
}

// reach adds what one block needs. One with an address of its host's, or of this one, would take away the way to that host: no route leads there.
func (c Config) reach(want Set, b agent.Neighbour, g Ground) error {
	if b.Block.Contains(c.Local) {
		return fmt.Errorf("has this host's address %s", c.Local)
	}
	if i := slices.IndexFunc(b.Via, b.Block.Contains); i >= 0 {
		return fmt.Errorf("has its host's address %s", b.Via[i])
	}
	if c.Mode.directs() {
		for _, via := range b.Via {
			path, ok := g.Paths[via]
			if ok && path.Near && !path.Local && via.Is4() == b.Block.Addr().Is4() {
				want.Routes[Route{Dst: b.Block, Via: via, Link: path.Link}] = true
				return nil
			}
		}
	}
	if c.Mode == Direct {
		return fmt.Errorf("none of its addresses %v is IPv%d and on a link of this host's", b.Via, version(b.Block.Addr()))
	}
	return c.tunnel(want, b, g)
}

// tunnel adds what one block needs that is reached through it.
func (c Config) tunnel(want Set, b agent.Neighbour, g Ground) error {
	for _, via := range b.Via {
		path, ok := g.Paths[via]
		if !ok || path.Link == 0 || path.Local || via.Is4() != c.Local.Is4() {
			continue
		}
		if g.Tunnel == 0 {
			return fmt.Errorf("there is no tunnel")
		}
		mac := c.end(b.Node)
		want.Ends[End{MAC: mac, Host: via}] = true
		want.Hops[Hop{b.Block.Addr(), mac}] = true
		want.Routes[Route{Dst: b.Block, Via: b.Block.Addr(), Link: g.Tunnel}] = true
		return nil
	}
	return fmt.Errorf("there is no way to any IPv%d address among its %v", version(c.Local), b.Via)
}

// end is the Ethernet address of a node's end of the tunnel. It follows from the names, so that nobody has to be told.
func (c Config) end(node string) (mac MAC) {
	sum := sha256.Sum256([]byte(c.Network + "/" + node))
	copy(mac[:], sum[:])
	mac[0] = mac[0]&^1 | 2 // of one station; not given by a maker
	return mac
}

func version(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}
