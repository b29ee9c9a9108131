package endpoint

import (
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/step"
)

// readRoutes takes the result's routes and adds a default route for each family that has a gateway and no default route yet. A default
// route without a gateway counts: it gets the family's gateway like every other such route.
func (e *Endpoint) readRoutes(o Options, r *types100.Result) {
	e.cniRoutes = r.Routes
	if e.Previous == nil && o.Default {
		for _, is4 := range []bool{true, false} {
			if gateway := e.Gateway(is4); gateway.IsValid() && !hasDefault(r.Routes, is4) {
				e.cniRoutes = append(slices.Clone(e.cniRoutes), &types.Route{Dst: attach.IPNet(defaultOf(is4)), GW: gateway.AsSlice()})
			}
		}
	}
	for _, route := range e.cniRoutes {
		e.Routes = append(e.Routes, e.route(route))
	}
}

// route turns a CNI route into one for the kernel. One without a gateway gets its family's, unless it is asked to be on the link.
func (e *Endpoint) route(r *types.Route) step.Route {
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
		k.Via = e.Gateway(k.Dst.Addr().Is4())
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

// Gateway returns the family's first gateway.
func (e *Endpoint) Gateway(is4 bool) netip.Addr {
	for _, a := range e.Addresses {
		if a.Gateway.IsValid() && a.Gateway.Is4() == is4 {
			return a.Gateway
		}
	}
	return netip.Addr{}
}
