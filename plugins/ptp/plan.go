package ptp

import (
	"cmp"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Plan says what one container's attachment to its host consists of. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	e, err := endpoint.Read(call, endpoint.Options{IPAM: c.IPAM, Gateway: gatewayOf})
	if err != nil {
		return plan.Plan{}, err
	}
	name, mac := endpoint.HostEnd(call, "")
	pair := step.Veth{Owner: call.Owner, Host: name, IfName: call.IfName, Kind: c.Kind, HostMAC: mac, MAC: e.MAC, MTU: c.MTU, ContainerMTU: cmp.Or(e.MTU, c.MTU)}
	p := plan.Plan{Ground: ground(c, &e), Steps: []plan.Step{pair}}
	if c.IPAM != "" && c.Late { // a delegate that looks at the interface finds its other end up
		p.Steps = append(p.Steps, step.Up{Host: name})
	}
	p.Mark = len(p.Steps)
	p.Steps = append(p.Steps, rest(c, call, &e, pair)...)
	p.Result = e.Result([]*types100.Interface{
		{Name: name, Mac: mac.String()},
		{Name: call.IfName, Mac: e.MAC.String(), Sandbox: call.Netns},
	}, 1, c.DNS)
	return p, nil
}

// gatewayOf is the gateway of an address that came without one: it need be unique on the link only, which has nobody else (RFC 3927; RFC 4291, section 2.5.6).
func gatewayOf(p netip.Prefix) (netip.Addr, error) {
	if p.Addr().Is4() {
		return netip.AddrFrom4([4]byte{169, 254, 1, 1}), nil
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: 1}), nil
}

// ground is what all containers need of the host.
func ground(c Config, e *endpoint.Endpoint) []plan.Step {
	var steps []plan.Step
	if c.IPAM != "" {
		steps = append(steps, step.Forwarding{IPv4: e.HasGateway(netip.Addr.Is4), IPv6: e.HasGateway(netip.Addr.Is6)})
		if c.IPMasq {
			steps = append(steps, step.Tables{})
		}
	}
	return steps
}

// rest is what comes with the addresses. NAT is there before the interface is up, so that nothing leaves with a private address.
func rest(c Config, call attach.Call, e *endpoint.Endpoint, pair step.Veth) []plan.Step {
	use := endpoint.Use{IfName: call.IfName, Host: pair.Host, Alone: true, Before: ways(e), Sysctls: c.Sysctls}
	if c.IPAM == "" {
		return e.Steps(false, use)
	}
	var steps []plan.Step
	if c.IPMasq {
		steps = append(steps, e.Masquerade(call, c.MasqExclude))
	}
	steps = append(steps, e.Steps(true, use)...)
	end := step.HostEnd{Link: pair.Host, Gateways: gateways(e), Addrs: e.Addrs(), RPFilter: c.RPFilter}
	if c.Proxy {
		steps = append(steps, step.Neighbours{IfName: call.IfName, Addrs: end.Gateways, MAC: pair.HostMAC})
		end.Gateways = nil
	}
	return append(steps, end, step.Listening{IfName: call.IfName, Addrs: e.Addrs()})
}

// ways are the container's routes to its gateways and, by them, to its subnets: nobody of the subnet is on the link.
func ways(e *endpoint.Endpoint) []step.Route {
	var routes []step.Route
	for _, a := range e.Addresses {
		own := a.Prefix.Addr()
		if !a.Gateway.Is6() || !a.Gateway.IsLinkLocalUnicast() { // the kernel has the route to fe80::/64
			routes = append(routes, step.Route{Dst: netip.PrefixFrom(a.Gateway, a.Gateway.BitLen()), Src: own, Scope: onLink})
		}
		if !a.Prefix.IsSingleIP() {
			routes = append(routes, step.Route{Dst: a.Prefix.Masked(), Via: a.Gateway, Src: own})
		}
	}
	return routes
}

// onLink is RT_SCOPE_LINK, rtnetlink(7).
const onLink = 253

// gateways are the host's addresses on the link, each once.
func gateways(e *endpoint.Endpoint) []netip.Addr {
	var list []netip.Addr
	for _, a := range e.Addresses {
		if !slices.Contains(list, a.Gateway) {
			list = append(list, a.Gateway)
		}
	}
	return list
}
