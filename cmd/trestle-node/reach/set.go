package reach

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Route is the way to another's block, by its host (direct) or by the block's first address on the tunnel.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr
	Link   int    // index
	Metric uint32 // 0: the kernel's
	TOS    uint8
	Odd    bool // it says something else besides, which ours never do
}

// Hop is an address beyond the tunnel, and the Ethernet address of the tunnel's end there. Nobody asks for it, and it never ages.
type Hop struct {
	Addr netip.Addr
	MAC  MAC
}

// End is an end of the tunnel: the address of the host that has it.
type End struct {
	MAC  MAC
	Host netip.Addr
	Odd  bool // it is at another port, or of another tunnel
}

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

func (r Route) String() string {
	return fmt.Sprintf("route %s via %s link %d%s", r.Dst, r.Via, r.Link, spoiled(r.Odd || r.TOS != 0))
}
func (h Hop) String() string { return fmt.Sprintf("neighbour %s is %s", h.Addr, h.MAC) }
func (e End) String() string {
	return fmt.Sprintf("tunnel's end %s at %s%s", e.MAC, e.Host, spoiled(e.Odd))
}

func spoiled(is bool) string {
	if is {
		return " (spoiled)"
	}
	return ""
}

// Set is what the kernel has of ours, or is to have. Own are the addresses of the tunnel's end here.
type Set struct {
	Routes map[Route]bool
	Hops   map[Hop]bool
	Ends   map[End]bool
	Own    map[netip.Prefix]bool
}

func newSet() Set {
	return Set{make(map[Route]bool), make(map[Hop]bool), make(map[End]bool), make(map[netip.Prefix]bool)}
}

func (s Set) len() int { return len(s.Routes) + len(s.Hops) + len(s.Ends) + len(s.Own) }

// Change is what leads from one set to another, in its order: what is wrong goes before what is right comes, so that nothing is ever sent by two ways; a
// route comes when all that it needs is there, and goes first.
type Change struct {
	Unroute []Route
	Unhop   []Hop
	Unend   []End
	Disown  []netip.Prefix
	Own     []netip.Prefix
	End     []End
	Hop     []Hop
	Route   []Route
}

// Diff is the change from what is there to what is wanted.
func Diff(have, want Set) Change {
	return Change{
		Unroute: without(have.Routes, want.Routes), Route: without(want.Routes, have.Routes),
		Unhop: without(have.Hops, want.Hops), Hop: without(want.Hops, have.Hops),
		Unend: without(have.Ends, want.Ends), End: without(want.Ends, have.Ends),
		Disown: without(have.Own, want.Own), Own: without(want.Own, have.Own),
	}
}

// without is what is in a and not in b, in the order of its text.
func without[T interface {
	comparable
	fmt.Stringer
}](a, b map[T]bool) (list []T) {
	for item := range a {
		if !b[item] {
			list = append(list, item)
		}
	}
	if len(list) < 100 { // for people; the kernel does not mind
		slices.SortFunc(list, func(x, y T) int { return cmp.Compare(x.String(), y.String()) })
	}
	return list
}

// Len is how many things change.
func (c Change) Len() int {
	return len(c.Unroute) + len(c.Unhop) + len(c.Unend) + len(c.Disown) + len(c.Own) + len(c.End) + len(c.Hop) + len(c.Route)
}

// String says what happens, for a log.
func (c Change) String() string {
	if c.Len() > 20 {
		return fmt.Sprintf("%d routes go, %d come", len(c.Unroute), len(c.Route))
	}
	var words []string
	words = append(words, list("-", c.Unroute)...)
	words = append(words, list("-", c.Unhop)...)
	words = append(words, list("-", c.Unend)...)
	words = append(words, list("- address ", c.Disown)...)
	words = append(words, list("+ address ", c.Own)...)
	words = append(words, list("+", c.End)...)
	words = append(words, list("+", c.Hop)...)
	words = append(words, list("+", c.Route)...)
	return strings.Join(words, "; ")
}

func list[T fmt.Stringer](mark string, items []T) (words []string) {
	for _, item := range items {
		words = append(words, mark+item.String())
	}
	return words
}
