package step

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Route is one route of a container, with what CNI 1.1.0 can say of one.
type Route struct {
	Dst      netip.Prefix // masked
	Via      netip.Addr   // the zero Addr: directly on the link
	Src      netip.Addr   // preferred source; the zero Addr: the kernel's choice
	Priority uint32       // metric; 0: the kernel's
	Table    uint32       // 0: main
	Scope    int          // RT_SCOPE_*
	MTU      int          // bytes; 0: none
	AdvMSS   int          // bytes; 0: none
	Kept     rtnl.Kept    // of one that the host had

	// Elsewhere says that the route may be on another link of the container, by another plugin of the list: Verify looks for it on all.
	Elsewhere bool
}

func (r Route) String() string {
	var text strings.Builder
	text.WriteString(r.Dst.String())
	if r.Via.IsValid() {
		fmt.Fprintf(&text, " via %s", r.Via)
	}
	if r.Src.IsValid() {
		fmt.Fprintf(&text, " src %s", r.Src)
	}
	for _, extra := range []struct {
		name  string
		value uint32
	}{{"metric", r.Priority}, {"table", r.Table}, {"scope", uint32(r.Scope)}, {"mtu", uint32(r.MTU)}, {"advmss", uint32(r.AdvMSS)}} {
		if extra.value != 0 {
			fmt.Fprintf(&text, " %s %d", extra.name, extra.value)
		}
	}
	return text.String()
}

// Routes are the routes of a container's interface.
type Routes struct {
	IfName  string
	Routes  []Route
	Subnets []netip.Prefix // what the kernel routes to the link with its addresses; looked at by Verify, never written
}

func (r Routes) String() string { return "routes on " + r.IfName }

// Inside says that all goes with the link.
func (r Routes) Inside() {}

// Apply adds the routes in their order. One that is there already, to the same destination by the same gateway, stays; one by another gateway
// is added beside it, as the reference does (so not NLM_F_EXCL).
func (r Routes) Apply(_ context.Context, s *site.Site) (bool, error) {
	if len(r.Routes) == 0 {
		return false, nil
	}
	container, link, err := r.link(s)
	if err != nil {
		return false, err
	}
	created := false
	for _, route := range r.Routes {
		err := container.Conn.Send(rtnl.NewRoute(route.out(link.Attrs().Index)))
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if errors.Is(err, unix.EINVAL) {
			return created, fault.New(fault.Config, "mend that route, in the configuration or where the addresses come from", "%s: %w", route, err)
		}
		if err != nil {
			return created, fmt.Errorf("%s: %w", route, err)
		}
		created = true
	}
	return created, nil
}

func (r Routes) link(s *site.Site) (*site.Side, netlink.Link, error) {
	container, err := inside(s)
	if err != nil {
		return nil, nil, err
	}
	link, err := need(container, r.IfName)
	return container, link, err
}

// out is the route by the link with the index.
func (r Route) out(index int) rtnl.Route {
	return rtnl.Route{Link: index, Dst: r.Dst, Via: r.Via, Src: r.Src, Priority: r.Priority, Table: r.Table, Scope: r.Scope, MTU: r.MTU, AdvMSS: r.AdvMSS, Kept: r.Kept}
}

// Undo removes the routes that are known.
func (r Routes) Undo(_ context.Context, s *site.Site) error {
	if s.Container == nil || len(r.Routes) == 0 {
		return nil
	}
	link, err := find(s.Container, r.IfName)
	if err != nil || link == nil {
		return err
	}
	var errs []error
	for _, route := range r.Routes {
		err := s.Container.Conn.Send(rtnl.DelRoute(route.out(link.Attrs().Index)))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove %s: %w", route, err))
		}
	}
	return fault.Join(errs...)
}

// Verify wants every route in some table: a later plugin (source based routing) may have moved it. The kernel's own, to the host's addresses, are none.
func (r Routes) Verify(_ context.Context, s *site.Site) error {
	if len(r.Routes) == 0 && len(r.Subnets) == 0 {
		return nil
	}
	container, link, err := r.link(s)
	if err != nil {
		return err
	}
	all, err := container.RouteListFiltered(unix.AF_UNSPEC, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	own := by(all, link.Attrs().Index)
	want := r.Routes
	for _, subnet := range r.Subnets {
		if routed(subnet.Masked()) {
			want = append(want[:len(want):len(want)], Route{Dst: subnet.Masked()})
		}
	}
	var errs []error
	for _, route := range want {
		have := own
		if route.Elsewhere {
			have = all
		}
		if !slices.ContainsFunc(have, route.is) {
			errs = append(errs, drift("", route, describe(have)))
		}
	}
	return fault.Join(errs...)
}

// routed says whether the kernel makes a route to the subnet of an address: it makes none to a single address of IPv4, nor to the network zero
// (fib_add_ifaddr, net/ipv4/fib_frontend.c).
func routed(subnet netip.Prefix) bool {
	return subnet.Addr().Is6() || !subnet.IsSingleIP() && subnet.Addr().As4()[0] != 0
}

// by returns the routes that lead out by the link. One with several next hops has its links there, not in itself.
func by(all []netlink.Route, index int) []netlink.Route {
	return slices.DeleteFunc(slices.Clone(all), func(k netlink.Route) bool {
		hop := func(n *netlink.NexthopInfo) bool { return n.LinkIndex == index }
		return k.LinkIndex != index && !slices.ContainsFunc(k.MultiPath, hop)
	})
}

// is says whether the kernel's route is r. IPv6 routes to one destination may have become one with several next hops.
func (r Route) is(k netlink.Route) bool {
	if k.Table == unix.RT_TABLE_LOCAL && r.Table != unix.RT_TABLE_LOCAL || prefix(k.Dst, r.Dst) != r.Dst || r.Priority != 0 && uint32(k.Priority) != r.Priority {
		return false
	}
	if !r.Via.IsValid() {
		return true
	}
	via := func(ip net.IP) bool { a, ok := netip.AddrFromSlice(ip); return ok && a.Unmap() == r.Via }
	return via(k.Gw) || slices.ContainsFunc(k.MultiPath, func(n *netlink.NexthopInfo) bool { return via(n.Gw) })
}

// prefix reads a destination; nil is the default route, of the family that is looked for.
func prefix(n *net.IPNet, like netip.Prefix) netip.Prefix {
	if n == nil {
		if like.Addr().Is4() {
			return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}

func describe(routes []netlink.Route) []string {
	var texts []string
	for _, k := range routes {
		if k.Type == unix.RTN_UNICAST {
			texts = append(texts, strings.TrimSuffix(fmt.Sprintf("%v via %v", k.Dst, k.Gw), " via <nil>"))
			for _, n := range k.MultiPath {
				texts = append(texts, fmt.Sprintf("%v via %v", k.Dst, n.Gw))
			}
		}
	}
	return texts
}
