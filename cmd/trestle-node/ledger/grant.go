package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Grant is what somebody else has given this host, and can take from it: there is no ledger of it, and what host-local reads is all.
type Grant struct {
	places Places
	node   string
	boot   string
	lock   *os.File
}

// OpenGrant takes what host-local reads for this program, and leaves it as it is.
func OpenGrant(places Places, node string) (*Grant, error) {
	if err := forgetful(places.Ranges); err != nil {
		return nil, err
	}
	boot, err := Boot()
	if err != nil {
		return nil, err
	}
	lock, err := alone(places.Ranges, "stop it, or give each network a rangesFile of its own")
	if err != nil {
		return nil, err
	}
	return &Grant{places, node, boot, lock}, nil
}

// Close lets others have it.
func (g *Grant) Close() error { return g.lock.Close() }

// Dir is the directory of what host-local reads.
func (g *Grant) Dir() string { return filepath.Dir(g.places.Ranges) }

// Set lets host-local hand out of these CIDRs and no others, each with its first address for the gateway. What it is to hand out of no more is taken away
// under its lock: a call that was under way has its reservation by then.
func (g *Grant) Set(ctx context.Context, cidrs []netip.Prefix) (changed bool, err error) {
	r := ranges{Network: g.places.Network, Ranges: [][]pool.Range{}, Blocks: []pool.ID{}, Node: g.node, Boot: g.boot}
	for _, cidr := range cidrs {
		r.Ranges = append(r.Ranges, []pool.Range{{Subnet: cidr, Gateway: cidr.Addr().Next()}})
	}
	there, known := g.there()
	if known && slices.Equal(there, cidrs) {
		return false, r.write(g.places.Ranges) // what somebody has spoiled of the rest
	}
	if known && !slices.ContainsFunc(there, func(p netip.Prefix) bool { return !slices.Contains(cidrs, p) }) {
		return true, r.write(g.places.Ranges)
	}
	books, err := ipam.Open(ctx, g.places.Data, g.places.Network, true)
	if err != nil {
		return false, err
	}
	return true, errors.Join(r.write(g.places.Ranges), books.Close())
}

// Has are the CIDRs that host-local hands out of, as far as they are this host's by this boot.
func (g *Grant) Has() []netip.Prefix {
	there, _ := g.there()
	return there
}

// there is the same; not known where another has written the file, or nobody.
func (g *Grant) there() (cidrs []netip.Prefix, known bool) {
	text, err := plainfile.Read(g.places.Ranges)
	var r ranges
	if err != nil || json.Unmarshal(text, &r) != nil || r.Network != g.places.Network || r.Node != g.node || r.Boot != g.boot {
		return nil, false
	}
	for _, set := range r.Ranges {
		for _, one := range set {
			cidrs = append(cidrs, one.Subnet)
		}
	}
	return cidrs, true
}

// Strays are the addresses that are reserved and in none of these CIDRs: of containers that began under others.
func (g *Grant) Strays(cidrs []netip.Prefix) ([]netip.Addr, error) {
	all, err := reserved(g.places)
	return slices.DeleteFunc(all, func(addr netip.Addr) bool {
		return slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Contains(addr) })
	}), err
}
