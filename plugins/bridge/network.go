package bridge

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/step"
)

// network is what a result says of one attachment. Read from an IPAM plugin's result or from the result that the plan for it returned, it
// is the same.
type network struct {
	host         string // the host end's name
	hostMAC, mac net.HardwareAddr
	mtu          int // of the container's end, where prevResult has it
	addresses    []address
	routes       []step.Route
	cniRoutes    []*types.Route // as the result has them
	dns          types.DNS
	previous     *types100.Result // prevResult, on CHECK and DEL
}

// address is one of the container's, with its gateway, which may be missing.
type address struct {
	prefix  netip.Prefix
	gateway netip.Addr
}

func (c Config) l3() bool { return c.IPAM != "" }

func read(c Config, call attach.Call) (network, error) {
	n := network{host: call.Owner.HostLink(), hostMAC: call.MAC("host"), mac: c.MAC}
	if n.mac == nil {
		n.mac = call.MAC("container")
	}
	r := call.Result
	if r == nil {
		return n, nil
	}
	in := -1
	if len(r.Interfaces) > 0 {
		n.previous = r
		if in = n.readInterfaces(c, call, r); in < 0 {
			return n, fault.New(fault.Config, "pass the result of the ADD", "prevResult: no interface %s in sandbox %s", call.IfName, call.Netns)
		}
	}
	if err := n.readAddresses(c, r, in); err != nil {
		return n, err
	}
	n.dns = r.DNS
	n.readRoutes(c, r)
	return n, nil
}

// readInterfaces takes names and MACs from prevResult, and returns the index of the container's interface, -1 when it has none.
func (n *network) readInterfaces(c Config, call attach.Call, r *types100.Result) int {
	in := -1
	n.hostMAC = nil
	derived := n.host
	for i, link := range r.Interfaces {
		mac, _ := net.ParseMAC(link.Mac)
		switch {
		case link.Sandbox != "" && link.Name == call.IfName && (call.Netns == "" || link.Sandbox == call.Netns):
			in, n.mac, n.mtu = i, mac, link.Mtu
		case link.Sandbox != "" || link.Name == c.Bridge || !strings.HasPrefix(link.Name, "veth"):
		case link.Name == derived, n.hostMAC == nil: // the reference's have random names
			n.host, n.hostMAC = link.Name, mac
		}
	}
	return in
}

// readAddresses takes the addresses that are the container's: all of an IPAM plugin's, those of interface number in of prevResult.
func (n *network) readAddresses(c Config, r *types100.Result, in int) error {
	for _, ip := range r.IPs {
		if in >= 0 && ip.Interface != nil && *ip.Interface != in {
			continue
		}
		a := address{prefix: attach.Prefix(ip.Address)}
		a.gateway, _ = netip.AddrFromSlice(ip.Gateway)
		a.gateway = a.gateway.Unmap()
		if !a.prefix.IsValid() {
			return fault.New(fault.Delegate, "", "result of %s: %v: not an address", c.IPAM, ip.Address)
		}
		if c.l3() && c.IsGateway && !a.gateway.IsValid() {
			if a.gateway = firstOf(a.prefix); !a.gateway.IsValid() {
				return fault.New(fault.Config, "let the IPAM plugin name a gateway, or leave isGateway out",
					"isGateway: true: address %s leaves no room for a gateway", a.prefix)
			}
		}
		n.addresses = append(n.addresses, a)
	}
	if c.l3() && in < 0 && len(n.addresses) == 0 {
		return fault.New(fault.Delegate, "mend the ipam section", "result of %s: no address", c.IPAM)
	}
	return nil
}

// firstOf returns the address after the subnet's own. In a subnet of two it is the one that the container does not have (RFC 3021,
// RFC 6164). There is none in a subnet of one, and none where the container has it.
func firstOf(p netip.Prefix) netip.Addr {
	base := p.Masked().Addr()
	first := base.Next()
	switch pair := p.Bits() == p.Addr().BitLen()-1; {
	case p.IsSingleIP():
		return netip.Addr{}
	case first != p.Addr():
		return first
	case pair:
		return base
	}
	return netip.Addr{}
}

// readRoutes takes the result's routes and adds a default route for each family that has a gateway and no default route yet. A default
// route without a gateway counts: it gets the family's gateway like every other such route.
func (n *network) readRoutes(c Config, r *types100.Result) {
	n.cniRoutes = r.Routes
	if n.previous == nil && c.IsDefaultGateway {
		for _, is4 := range []bool{true, false} {
			if gateway := n.gateway(is4); gateway.IsValid() && !hasDefault(r.Routes, is4) {
				n.cniRoutes = append(slices.Clone(n.cniRoutes), &types.Route{Dst: attach.IPNet(defaultOf(is4)), GW: gateway.AsSlice()})
			}
		}
	}
	for _, route := range n.cniRoutes {
		n.routes = append(n.routes, n.route(route))
	}
}

// route turns a CNI route into one for the kernel. One without a gateway gets its family's, unless it is asked to be on the link.
func (n *network) route(r *types.Route) step.Route {
	via, _ := netip.AddrFromSlice(r.GW)
	k := step.Route{Dst: attach.Prefix(r.Dst).Masked(), Via: via.Unmap(), Priority: r.Priority, MTU: r.MTU, AdvMSS: r.AdvMSS}
	if r.Table != nil {
		k.Table = *r.Table
	}
	if r.Scope != nil {
		k.Scope = *r.Scope
	}
	const onLink = 253 // RT_SCOPE_LINK, rtnetlink(7)
	if !k.Via.IsValid() && k.Scope != onLink {
		k.Via = n.gateway(k.Dst.Addr().Is4())
	}
	return k
}

func defaultOf(is4 bool) netip.Prefix {
	if is4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func hasDefault(routes []*types.Route, is4 bool) bool {
	return slices.ContainsFunc(routes, func(r *types.Route) bool {
		return r.Table == nil && attach.Prefix(r.Dst) == defaultOf(is4)
	})
}

// gateway returns the family's first gateway.
func (n *network) gateway(is4 bool) netip.Addr {
	for _, a := range n.addresses {
		if a.gateway.IsValid() && a.gateway.Is4() == is4 {
			return a.gateway
		}
	}
	return netip.Addr{}
}

// gateways returns what goes on the bridge, IPv4 first, each once: the gateway with the length of the address' subnet.
func (n *network) gateways() []netip.Prefix {
	var list []netip.Prefix
	for _, is4 := range []bool{true, false} {
		for _, a := range n.addresses {
			p := netip.PrefixFrom(a.gateway, a.prefix.Bits())
			if a.gateway.IsValid() && a.gateway.Is4() == is4 && !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}

func (n *network) hasGateway(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(n.addresses, func(a address) bool { return a.gateway.IsValid() && family(a.gateway) })
}

func (n *network) prefixes() []netip.Prefix {
	var list []netip.Prefix
	for _, a := range n.addresses {
		list = append(list, a.prefix)
	}
	return list
}

func (n *network) addrs() []netip.Addr {
	var list []netip.Addr
	for _, a := range n.addresses {
		list = append(list, a.prefix.Addr())
	}
	return list
}

// masquerade returns what leaves with the host's address, except to some destinations.
func (n *network) masquerade(except []netip.Prefix) []firewall.Masq {
	var list []firewall.Masq
	for _, a := range n.addresses {
		m := firewall.Masq{Addr: a.prefix.Addr(), Subnet: a.prefix.Masked()}
		for _, p := range except {
			if p.Addr().Is4() == m.Addr.Is4() {
				m.Except = append(m.Except, p)
			}
		}
		list = append(list, m)
	}
	return list
}
