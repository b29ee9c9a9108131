package pool

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// The shapes of a pool: each block a subnet of its own, or all of them parts of one.
const (
	Routed = "routed"
	Flat   = "flat"
)

// Definition is the pool as it stands in the store.
type Definition struct {
	CIDRs     []netip.Prefix `json:"cidrs"`
	BlockSize Sizes          `json:"blockSize"`
	Shape     string         `json:"shape"`
	// Subnets are what CIDRs of a flat pool are parts of: a network that has other machines, too, whose mask and gateway containers have. Without one it is the CIDR itself.
	Subnets []netip.Prefix `json:"subnets,omitempty"`
	// Gateways are those of a flat pool, one a subnet at the most; where there is none it is the subnet's first address.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// Frozen pools give no block away; what hosts have they keep.
	Frozen bool `json:"frozen,omitempty"`
}

// Sizes are the prefix lengths of the blocks of each family; 0 where the pool has none of it.
type Sizes struct {
	IPv4 int `json:"ipv4,omitempty"`
	IPv6 int `json:"ipv6,omitempty"`
}

// Of is the size in the family.
func (s Sizes) Of(f Family) int {
	if f == 4 {
		return s.IPv4
	}
	return s.IPv6
}

// longest leaves two addresses for containers: host-local takes no smaller subnet.
func longest(f Family) int { return f.bits() - 2 }

// Check finds all that is wrong with the definition.
func (d Definition) Check() error {
	var errs []error
	reject := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(d.CIDRs) == 0 {
		reject("cidrs: must have one")
	}
	if d.Shape != Routed && d.Shape != Flat {
		reject("shape: %q: must be %s or %s", d.Shape, Routed, Flat)
	}
	for i, cidr := range d.CIDRs {
		switch {
		case !cidr.IsValid() || cidr.Addr().Is4In6():
			reject("cidrs: %s: must be an address and prefix length, as in 10.64.0.0/12", cidr)
			continue
		case cidr != cidr.Masked():
			reject("cidrs: %s: must have no host bits set, as in %s", cidr, cidr.Masked())
		case !Usable(cidr):
			reject("cidrs: %s: has addresses that no container can have", cidr)
		}
		if j := slices.IndexFunc(d.CIDRs[:i], cidr.Overlaps); j >= 0 {
			reject("cidrs: %s: must not overlap %s", cidr, d.CIDRs[j])
		}
		f := FamilyOf(cidr.Addr())
		if size := d.BlockSize.Of(f); size < cidr.Bits() || size > longest(f) {
			reject("blockSize: IPv%d: %d: must be from %d, the length of %s, to %d", f, size, cidr.Bits(), cidr, longest(f))
		} else if size-cidr.Bits() > 24 {
			reject("blockSize: IPv%d: %d: more than 16777216 blocks in %s", f, size, cidr)
		}
	}
	d.checkFlat(reject)
	return errors.Join(errs...)
}

// nobodys are addresses that no container can have: of this network or the host itself, of groups, of one link alone.
var nobodys = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// Usable says whether containers can have the addresses of the prefix.
func Usable(p netip.Prefix) bool { return !slices.ContainsFunc(nobodys[:], p.Overlaps) }

// checkFlat finds what is wrong with what a flat pool alone has.
func (d Definition) checkFlat(reject func(format string, args ...any)) {
	if d.Shape == Routed && len(d.Gateways)+len(d.Subnets) > 0 {
		reject("gateways, subnets: each block of a routed pool is a subnet, and has its own gateway")
	}
	for i, subnet := range d.Subnets {
		switch {
		case !subnet.IsValid() || subnet != subnet.Masked():
			reject("subnets: %s: must be an address and prefix length, with no host bits set", subnet)
		case slices.ContainsFunc(d.Subnets[:i], subnet.Overlaps):
			reject("subnets: %s: must not overlap another", subnet)
		case !slices.ContainsFunc(d.CIDRs, func(cidr netip.Prefix) bool { return d.subnet(cidr) == subnet }):
			reject("subnets: %s: must have one of cidrs in it", subnet)
		}
	}
	for _, gateway := range d.Gateways {
		if !slices.ContainsFunc(d.CIDRs, func(cidr netip.Prefix) bool { return d.subnet(cidr).Contains(gateway) }) {
			reject("gateways: %s: must be in one of cidrs, or of subnets", gateway)
		}
	}
}

// subnet is what a flat pool's CIDR is a part of, or is.
func (d Definition) subnet(cidr netip.Prefix) netip.Prefix {
	for _, subnet := range d.Subnets {
		if subnet.Bits() <= cidr.Bits() && subnet.Contains(cidr.Addr()) {
			return subnet
		}
	}
	return cidr
}

// blocks is how many there are in one CIDR.
func (d Definition) blocks(cidr netip.Prefix) uint64 {
	return 1 << max(0, d.BlockSize.Of(FamilyOf(cidr.Addr()))-cidr.Bits())
}

// Len is how many blocks of the family the pool has.
func (d Definition) Len(f Family) uint32 {
	n := uint64(0)
	for _, cidr := range d.CIDRs {
		if FamilyOf(cidr.Addr()) == f {
			n += d.blocks(cidr)
		}
	}
	return uint32(min(n, math.MaxUint32))
}

// Has says whether the block is in the pool.
func (d Definition) Has(id ID) bool { return id.Index < d.Len(id.Family) }

// find is the CIDR that the block is in, and the block's place in it.
func (d Definition) find(id ID) (cidr netip.Prefix, place uint64, ok bool) {
	place = uint64(id.Index)
	for _, cidr := range d.CIDRs {
		if FamilyOf(cidr.Addr()) != id.Family {
			continue
		}
		if n := d.blocks(cidr); place >= n {
			place -= n
			continue
		}
		return cidr, place, true
	}
	return netip.Prefix{}, 0, false
}

// Prefix is the block's; false where the pool has no such block.
func (d Definition) Prefix(id ID) (netip.Prefix, bool) {
	cidr, place, ok := d.find(id)
	if !ok {
		return netip.Prefix{}, false
	}
	size := d.BlockSize.Of(id.Family)
	return netip.PrefixFrom(add(cidr.Addr(), place, id.Family.bits()-size), size), true
}

// Find is the block that the address is in.
func (d Definition) Find(addr netip.Addr) (ID, bool) {
	id := ID{Family: FamilyOf(addr)}
	for _, cidr := range d.CIDRs {
		switch {
		case FamilyOf(cidr.Addr()) != id.Family:
		case cidr.Contains(addr):
			id.Index += distance(cidr.Addr(), addr, id.Family.bits()-d.BlockSize.Of(id.Family))
			return id, true
		default:
			id.Index += uint32(d.blocks(cidr))
		}
	}
	return ID{}, false
}

// Change says whether the pool may become next, and what of it must have no owner for that: blocks keep their places, so CIDRs are added at the end and
// taken from there, and a block is always as large as it was.
func (d Definition) Change(next Definition) (lost []Span, err error) {
	if err := next.Check(); err != nil {
		return nil, err
	}
	if d.Shape != next.Shape {
		return nil, fmt.Errorf("shape: %s: is %s, and what runs goes by it", next.Shape, d.Shape)
	}
	for _, f := range Families {
		if d.Len(f) > 0 && next.Len(f) > 0 && d.BlockSize.Of(f) != next.BlockSize.Of(f) {
			return nil, fmt.Errorf("blockSize: IPv%d: %d: is %d, by which blocks are named", f, next.BlockSize.Of(f), d.BlockSize.Of(f))
		}
		before, after := d.of(f), next.of(f)
		for i := range min(len(before), len(after)) {
			if before[i] != after[i] {
				return nil, fmt.Errorf("cidrs: %s stands where %s does: add CIDRs at the end, and take them from there", after[i], before[i])
			}
		}
		if d.Len(f) > next.Len(f) {
			lost = append(lost, Span{ID{f, next.Len(f)}, ID{f, d.Len(f) - 1}})
		}
	}
	return lost, nil
}

// Span is blocks of one family, both ends included.
type Span struct{ First, Last ID }

func (d Definition) of(f Family) (cidrs []netip.Prefix) {
	for _, cidr := range d.CIDRs {
		if FamilyOf(cidr.Addr()) == f {
			cidrs = append(cidrs, cidr)
		}
	}
	return cidrs
}
