package doctor

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// subnet is a range of addresses that a configured network gives out.
type subnet struct {
	network, bridge string
	lan             string // the host's link on whose LAN it is; empty: on none
	prefix          netip.Prefix
	first, last     netip.Addr
	gateway         netip.Addr
	set             int // ranges of one set stand in for each other
	node            *conflist.Node
	file            *conflist.File
}

// subnets are those of all configurations that load.
func (p *Picture) subnets() (list []subnet) {
	for _, f := range p.Configs {
		for _, plugin := range f.Plugins {
			list = append(list, p.subnetsOf(f, plugin.Node)...)
			if plugin.Node == f.Root && f.List != nil {
				continue
			}
			for _, item := range known.Inner(plugin.Node) { // of one that runs a whole list
				list = append(list, p.subnetsOf(f, item)...)
			}
		}
	}
	return list
}

func (p *Picture) subnetsOf(f *conflist.File, plugin *conflist.Node) (list []subnet) {
	lan, on := known.LanOf(plugin)
	if on && lan == "" { // the plugin takes that of the default route
		for _, l := range p.uplinks() {
			lan = cmp.Or(lan, l.Name)
		}
	}
	for i, set := range known.RangesOf(plugin) {
		for _, one := range set {
			if s, ok := readSubnet(one); ok {
				s.network, s.bridge, s.lan, s.file, s.set = f.Name, known.BridgeOf(plugin), lan, f, i
				list = append(list, s)
			}
		}
	}
	return list
}

// readSubnet reads subnet, rangeStart, rangeEnd and gateway as host-local has them.
func readSubnet(n *conflist.Node) (s subnet, ok bool) {
	text := func(key string) string {
		if v := n.Get(key); v != nil {
			return v.Text
		}
		return ""
	}
	prefix, err := netip.ParsePrefix(text("subnet"))
	if err != nil {
		return s, false // the plugin complains; trestle lint does
	}
	s.prefix, s.node = prefix.Masked(), n.Get("subnet")
	s.first, s.last = s.prefix.Addr().Next(), lastOf(s.prefix)
	if s.last.Is4() {
		s.last = s.last.Prev() // broadcast
	}
	s.gateway = s.first
	for key, at := range map[string]*netip.Addr{"rangeStart": &s.first, "rangeEnd": &s.last, "gateway": &s.gateway} {
		if a, err := netip.ParseAddr(text(key)); err == nil {
			*at = a
		}
	}
	return s, true
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// room is how many addresses the range gives out; what is more than a million counts as that.
func (s subnet) room() int {
	const enough = 1 << 20
	a, b := s.first.As16(), s.last.As16()
	n := 0
	for i := range a {
		if n = n<<8 + int(b[i]) - int(a[i]); n > enough {
			return enough
		}
	}
	if s.first.Compare(s.gateway) <= 0 && s.gateway.Compare(s.last) <= 0 {
		n--
	}
	return n + 1
}

// apart says whether two ranges are of one wire, and have no address in common.
func (s subnet) apart(other subnet) bool {
	return s.bridge == other.bridge && s.lan == other.lan && s.bridge+s.lan != "" && (s.last.Less(other.first) || other.last.Less(s.first))
}

func (s subnet) holds(a netip.Addr) bool { return s.first.Compare(a) <= 0 && a.Compare(s.last) <= 0 }

// bridges are the host's bridges that containers are on, by name.
func (p *Picture) bridges() map[string][]*observe.Attachment {
	found := make(map[string][]*observe.Attachment)
	for _, a := range p.living() {
		if l := p.Host.Link(a.Bridge); l != nil {
			found[l.Name] = append(found[l.Name], a)
		}
	}
	return found
}

// living are the attachments of containers that are not dead.
func (p *Picture) living() (list []*observe.Attachment) {
	for _, a := range p.Host.Attachments {
		if !a.State.Wrong() || a.State == observe.Broken {
			list = append(list, a)
		}
	}
	return list
}

// leadsHome says whether the container has published there by another network: its runtime gives the same ports to each.
func (p *Picture) leadsHome(a *observe.Attachment, to netip.AddrPort) bool {
	return slices.ContainsFunc(p.living(), func(b *observe.Attachment) bool {
		return b.ContainerID == a.ContainerID && slices.ContainsFunc(b.Ports, func(port observe.Port) bool { return port.Target == to })
	})
}

// uplinks are the links by which the host's default routes go; where there is none, those with an address that no container is behind.
func (p *Picture) uplinks() (list []*observe.Link) {
	host, bridges := p.Host.Own(), p.bridges()
	for _, r := range host.Routes {
		if l := host.Named(r.Link); l != nil && r.Destination.Bits() == 0 && r.Kind == "" && !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	if len(list) > 0 {
		return list
	}
	for _, l := range host.Links {
		if len(global(l)) > 0 && l.Attachment == "" && bridges[l.Name] == nil && l.Name != "lo" {
			list = append(list, l)
		}
	}
	return list
}

// global are a link's addresses that others may use.
func global(l *observe.Link) (list []netip.Prefix) {
	for _, a := range l.Addresses {
		if a.Scope == "global" {
			list = append(list, a.Prefix)
		}
	}
	return list
}

// addresses are those of an attachment.
func addresses(a *observe.Attachment) (list []netip.Addr) {
	for _, text := range a.Addresses {
		if p, err := netip.ParsePrefix(text); err == nil {
			list = append(list, p.Addr())
		}
	}
	return list
}

func (p *Picture) sysctl(key string) string { return p.Host.Own().Sysctls[key] }

// eye answers what rules of the host ask about its addresses.
type eye struct{ *observe.Namespace }

func (e eye) AddrType(a netip.Addr, link string) (uint8, bool) {
	const unicast, local = 1, 2 // RTN_*
	if a.IsLoopback() {
		return local, true
	}
	for _, l := range e.Links {
		for _, own := range l.Addresses {
			if own.Prefix.Addr() == a && (link == "" || link == l.Name) {
				return local, true
			}
		}
	}
	return unicast, true
}

func (eye) Out(netip.Addr, uint32) (int, bool) { return 0, false }

func (e eye) Masquerade(packet ruleset.Packet) (netip.Addr, bool) {
	l := e.Named(packet.Out.Name)
	if l == nil {
		return netip.Addr{}, false
	}
	for _, a := range global(l) {
		if a.Addr().Is4() == packet.Source.Is4() {
			return a.Addr(), true
		}
	}
	return netip.Addr{}, false
}

func linkOf(l *observe.Link) ruleset.Link {
	if l == nil {
		return ruleset.Link{}
	}
	return ruleset.Link{Name: l.Name, Index: l.Index}
}

func nameOf(l *observe.Link) string { return linkOf(l).Name }

// name is how people call an attachment.
func name(a *observe.Attachment) string { return cmp.Or(a.ID, a.Link) }

// swept says whether a repair makes again what lets the attachment pass.
func swept(a *observe.Attachment) bool {
	return a.Remedy == plan.Repairable && slices.ContainsFunc(a.Why, func(why string) bool { return strings.Contains(why, string(firewall.Forward)+": ") })
}
