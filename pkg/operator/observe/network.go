package observe

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
	"github.com/trestle-cni/trestle/pkg/order"
)

// readAddresses notes the addresses of all links.
func readAddresses(n *Namespace, conn *rtnl.Conn) error {
	all, err := conn.AllAddrs()
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	for _, l := range n.Links {
		for _, a := range all[l.Index] {
			l.Addresses = append(l.Addresses, Address{Prefix: a.Prefix, Scope: scope(a.Addr()), Origin: addressOrigin(l, a),
				Tentative: a.Flags&unix.IFA_F_TENTATIVE != 0})
		}
	}
	return nil
}

func scope(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "host"
	case a.IsLinkLocalUnicast():
		return "link"
	}
	return "global"
}

// addressOrigin knows ours on a shared bridge by the mark of the protocol (IFA_PROTO), and the kernel's own by where they are.
func addressOrigin(l *Link, a rtnl.Addr) Origin {
	switch {
	case a.Proto == rtnl.Proto:
		return Trestle
	case l.Name == "lo" || a.Addr().Is6() && a.Addr().IsLinkLocalUnicast():
		return Kernel
	}
	return Foreign
}

// aRoute is about how many bytes the kernel tells of a route, or of one of its ways.
const aRoute = 60

// readRoutes notes the routes of all tables. The handle is of no use after it has met the bound.
func readRoutes(n *Namespace, h *netlink.Handle, left *budget.Budget) error {
	var over error
	links := byIndex(n)
	err := h.RouteListFilteredIter(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
		for _, hop := range hops(r) {
			route := Route{Destination: destination(r), Table: uint32(r.Table), Metric: uint32(r.Priority), Kind: routeKinds[r.Type], Protocol: r.Protocol.String()}
			route.Gateway, route.Source = address(hop.Gw), address(r.Src)
			if l := links[hop.LinkIndex]; l != nil {
				route.Link = l.Name
			}
			n.Routes = append(n.Routes, route)
			over = cmp.Or(over, left.Spend(aRoute))
		}
		return over == nil
	})
	if err = cmp.Or(over, err); err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	return nil
}

// readRules notes the rules by which routes are chosen.
func readRules(n *Namespace, conn *rtnl.Conn) error {
	rules, err := conn.Rules()
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // a kernel without policy routing
		return fmt.Errorf("rules of routing: %w", err)
	}
	for _, r := range rules {
		kind, _ := r.Discards()
		n.Rules = append(n.Rules, Rule{Priority: r.Priority, Text: r.String(), IPv6: r.Family == unix.AF_INET6, Kind: kind, From: r.From, To: r.To, In: r.In,
			Narrow: r.Invert || r.Other || r.Mark|r.Mask != 0 || r.Protocol != 0 || r.Out != "" || r.Source != rtnl.Ports{} || r.Target != rtnl.Ports{}})
	}
	return nil
}

// hops are a route's ways out.
func hops(r netlink.Route) []*netlink.NexthopInfo {
	if len(r.MultiPath) > 0 {
		return r.MultiPath
	}
	return []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw}}
}

// routeKinds are the types of rtnetlink(7) that have a name worth saying.
var routeKinds = map[int]string{unix.RTN_LOCAL: "local", unix.RTN_BROADCAST: "broadcast", unix.RTN_ANYCAST: "anycast", unix.RTN_MULTICAST: "multicast",
	unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit", unix.RTN_THROW: "throw"}

func destination(r netlink.Route) netip.Prefix {
	if r.Dst == nil {
		if r.Family == unix.AF_INET6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	bits, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(address(r.Dst.IP), bits)
}

func address(ip []byte) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// readNeighbours notes the neighbours of all links; groups are left out, which the kernel makes up itself.
func readNeighbours(n *Namespace, conn *rtnl.Conn) error {
	list, err := conn.Neighbours()
	if err != nil {
		return fmt.Errorf("neighbours: %w", err)
	}
	links := byIndex(n)
	for _, e := range list {
		l, addr := links[e.LinkIndex], address(e.IP)
		if l == nil || !addr.IsValid() || e.State&netlink.NUD_NOARP != 0 {
			continue
		}
		n.Neighbours = append(n.Neighbours, Neighbour{Address: addr, MAC: e.HardwareAddr.String(), Link: l.Name, State: neighbourState(e.State)})
	}
	order.By(n.Neighbours, func(a, b Neighbour) int {
		if c := strings.Compare(a.Link, b.Link); c != 0 {
			return c
		}
		return a.Address.Compare(b.Address)
	})
	return nil
}

// neighbourState is NUD_* of rtnetlink(7), as ip-neighbour(8) has it.
func neighbourState(state int) string {
	switch {
	case state&netlink.NUD_PERMANENT != 0:
		return "permanent"
	case state&netlink.NUD_REACHABLE != 0:
		return "reachable"
	case state&(netlink.NUD_STALE|netlink.NUD_DELAY|netlink.NUD_PROBE) != 0:
		return "stale"
	case state&netlink.NUD_FAILED != 0:
		return "failed"
	}
	return "incomplete"
}
