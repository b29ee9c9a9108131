package endpoint

import (
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/step"
)

// readRoutes takes the result's routes and adds a default route for each family that has a gateway and no default route yet. A default
// route without a gateway counts: it gets the family's gateway like every other such route.
func (e *Endpoint) readRoutes(o Options, r *types100.Result, others []netip.Prefix) {
	e.cniRoutes = r.Routes
	if e.Previous == nil && o.Default {
		for _, is4 := range []bool{true, false} {
			if gateway := e.Gateway(is4); gateway.IsValid() && !hasDefault(r.Routes, is4) {
				e.cniRoutes = append(slices.Clone(e.cniRoutes), &types.Route{Dst: attach.IPNet(defaultOf(is4)), GW: gateway.AsSlice()})
			}
		}
	}
	for _, route := range e.cniRoutes {
		if k := e.route(route, others); k.Dst.IsValid() {
			e.Routes = append(e.Routes, k)
		}
	}
}

// route turns a CNI route into one for the kernel. One without a gateway gets its family's, unless it is asked to be on the link, be it by a gateway of
// zeros. Where others have subnets in the container, too, one without a gateway may be anybody's.
func (e *Endpoint) route(r *types.Route, others []netip.Prefix) step.Route {
	via, zero := hop(r.GW)
	k := step.Route{Dst: attach.Prefix(r.Dst).Masked(), Via: via, Priority: uint32(r.Priority), MTU: r.MTU, AdvMSS: r.AdvMSS}
	k.Elsewhere = len(others) > 0
	if via.IsValid() {
		k.Elsewhere = !e.reaches(via) || slices.ContainsFunc(others, func(p netip.Prefix) bool { return p.Contains(via) })
	}
	if r.Table != nil {
		k.Table = uint32(*r.Table)
	}
	if r.Scope != nil {
		k.Scope = *r.Scope
	}
	const onLink = 253 // RT_SCOPE_LINK, rtnetlink(7)
	if !k.Via.IsValid() && k.Scope != onLink && !zero && !k.Elsewhere && !e.direct {
		k.Via = e.Gateway(k.Dst.Addr().Is4())
	}
	return k
}

// hop reads a gateway of a result. One of zeros stands for none, and says so on purpose.
func hop(ip net.IP) (addr netip.Addr, zero bool) {
	addr, _ = netip.AddrFromSlice(ip)
	if addr = addr.Unmap(); addr.IsUnspecified() {
		return netip.Addr{}, true
	}
	return addr, false
}

// reaches says whether the container's end leads to the gateway.
func (e *Endpoint) reaches(via netip.Addr) bool {
	return slices.ContainsFunc(e.Addresses, func(a Address) bool { return a.Gateway == via || a.Prefix.Contains(via) })
}

// others are the subnets that the container has by other interfaces than number in of the result: plugins of the same list may have made some. An
// interface without an address may have routes as well.
func others(r *types100.Result, in int) (list []netip.Prefix) {
	for i, link := range r.Interfaces {
		if i == in || link.Sandbox == "" {
			continue
		}
		list = append(list, netip.Prefix{})
		for _, ip := range r.IPs {
			if ip.Interface != nil && *ip.Interface == i {
				list = append(list, attach.Prefix(ip.Address))
			}
		}
	}
	return list
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

// Gateway returns the family's first gateway.
func (e *Endpoint) Gateway(is4 bool) netip.Addr {
	for _, a := range e.Addresses {
		if a.Gateway.IsValid() && a.Gateway.Is4() == is4 {
			return a.Gateway
		}
	}
	return netip.Addr{}
}
