package observe

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/order"
)

// Network is what containers can be attached to, or are: one that is configured, or that something on the host is of.
type Network struct {
	Name    string   `json:"name"`
	Files   []string `json:"files,omitempty"` // configurations of that name; runtimes take the first
	Plugins []string `json:"plugins"`         // the types of its plugins, by the first of the files or by what a runtime remembers
	Ranges  []*Range `json:"ranges,omitempty"`
}

// Range is an interval of addresses that host-local hands out for a network.
type Range struct {
	Subnet netip.Prefix `json:"subnet"`
	First  netip.Addr   `json:"first"`
	Last   netip.Addr   `json:"last"`
	Size   uint64       `json:"size"` // how many can be handed out; the largest number stands for that many or more
	Used   int          `json:"used"` // how many are reserved

	Uncounted bool `json:"uncounted,omitempty"` // the reservations could not be listed: there may be more, and how many is not known
}

// Network returns the network of the name, nil for none.
func (h *Host) Network(name string) *Network {
	for _, n := range h.Networks {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// readNetworks puts together what configurations, runtimes, attachments and reservations say of networks.
func (r *reader) readNetworks() {
	files := r.options.Files
	if files == nil {
		var err error
		if files, err = conflist.Load(r.options.Configs); err != nil {
			r.problem("configurations", err, "read them as root")
		}
	}
	for _, f := range files {
		if f.Name != "" && f.Root != nil {
			n := r.network(f.Name)
			n.Files = append(n.Files, f.Path)
			n.describe(f)
		}
	}
	for _, e := range r.results {
		if n := r.network(e.Network); len(n.Plugins) == 0 { // the thousandth says what the first does
			n.describe(conflist.Parse(e.Network+".conflist", e.List))
		}
	}
	for _, a := range r.host.Attachments {
		if a.Network != "" {
			r.network(a.Network)
		}
	}
	for _, v := range r.host.Reservations {
		for _, one := range r.network(v.Network).Ranges {
			if one.holds(v.Address) {
				one.Used++
			}
		}
	}
	for _, n := range r.host.Networks {
		for _, one := range n.Ranges {
			one.Uncounted = r.hidden.unlisted[""] || r.hidden.unlisted[n.Name]
		}
	}
	order.By(r.host.Networks, func(a, b *Network) int { return strings.Compare(a.Name, b.Name) })
}

func (r *reader) network(name string) *Network {
	n := r.host.Network(name)
	if n == nil {
		n = &Network{Name: name, Plugins: []string{}}
		r.host.Networks = append(r.host.Networks, n)
	}
	return n
}

// describe takes plugins and ranges from a configuration, unless another said them.
func (n *Network) describe(f *conflist.File) {
	if len(n.Plugins) == 0 && f.Root != nil {
		n.add(f.Root)
	}
}

// add takes what an entry says, and those in it.
func (n *Network) add(node *conflist.Node) {
	if kind := node.Get("type"); kind != nil {
		n.Plugins = append(n.Plugins, kind.Text)
	}
	for _, set := range known.RangesOf(node) {
		for _, one := range set {
			n.addRange(one)
		}
	}
	for _, inner := range known.Inner(node) {
		n.add(inner)
	}
}

// addRange reads one range as host-local does; what it would refuse is none.
func (n *Network) addRange(node *conflist.Node) {
	text := func(key string) string {
		if value := node.Get(key); value != nil {
			return value.Text
		}
		return ""
	}
	subnet, err := netip.ParsePrefix(text("subnet"))
	if err != nil || subnet.Bits() > subnet.Addr().BitLen()-2 {
		return
	}
	whole := ipam.Whole(subnet.Masked())
	for key, to := range map[string]*netip.Addr{"rangeStart": &whole.Start, "rangeEnd": &whole.End, "gateway": &whole.Gateway} {
		if a, err := netip.ParseAddr(text(key)); err == nil {
			*to = a
		}
	}
	one := &Range{Subnet: whole.Subnet, First: whole.Start, Last: whole.End, Size: distance(whole.Start, whole.End)}
	if one.Size > 0 && one.Size < math.MaxUint64 && whole.Contains(whole.Gateway) {
		one.Size-- // which is nobody's
	}
	n.Ranges = append(n.Ranges, one)
}

func (r *Range) holds(a netip.Addr) bool {
	return ipam.Range{Start: r.First, End: r.Last}.Contains(a)
}

// distance counts the addresses from the first to the last.
func distance(first, last netip.Addr) uint64 {
	if first.BitLen() != last.BitLen() || last.Less(first) {
		return 0
	}
	a, b := first.As16(), last.As16()
	low, borrow := bits.Sub64(binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(a[8:]), 0)
	high, _ := bits.Sub64(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(a[:8]), borrow)
	if high > 0 || low == math.MaxUint64 {
		return math.MaxUint64
	}
	return low + 1
}
