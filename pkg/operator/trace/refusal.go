package trace

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// refused is the end of a packet that a rule of routing or a route throws away, as the kernel goes through them; nil where none does. The kernel's
// own answer is an error without its reason.
func (j *journey) refused(p *Place, packet *ruleset.Packet, in *link) *end {
	rules, err := p.conn.Rules()
	if err != nil {
		return nil
	}
	for _, r := range rules {
		if !asks(r, packet, in) {
			continue
		}
		if how, does := r.Discards(); does {
			return j.drop(p, fmt.Sprintf("ip rule del priority %d%s", r.Priority, within(p)), "rule %d of routing (%s): %s is %s", r.Priority, r,
				packet.Destination, thrown[how])
		}
		if r.Kind != unix.RTN_UNICAST {
			return nil
		}
		switch found := p.longest(r.Table, packet.Destination); {
		case found == nil, found.Type == unix.RTN_THROW:
		case routeNames[found.Type] == "":
			return nil // it leads somewhere
		default:
			text := strings.TrimSpace(fmt.Sprintf("%s %s", routeNames[found.Type], destination(found)))
			return j.drop(p, fmt.Sprintf("ip route del %s table %d%s", text, found.Table, within(p)), "route %s: %s is %s", text, packet.Destination,
				thrown[routeNames[found.Type]])
		}
	}
	return nil
}

// routeNames are the kinds of routes that throw away; thrown is how that is said.
var (
	routeNames = map[int]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit"}
	thrown     = map[string]string{"blackhole": "thrown away without a word", "unreachable": "answered as unreachable", "prohibit": "answered as prohibited"}
)

// asks says whether the rule is for the packet.
func asks(r rtnl.Rule, packet *ruleset.Packet, in *link) bool {
	if (r.Family == unix.AF_INET) != packet.Destination.Is4() || r.Other || r.Out != "" {
		return false
	}
	by := "lo" // what is sent here
	if in != nil {
		by = in.Name
	}
	fits := (!r.From.IsValid() || packet.Source.IsValid() && r.From.Contains(packet.Source)) && (!r.To.IsValid() || r.To.Contains(packet.Destination)) &&
		(r.In == "" || r.In == by) && packet.Mark&r.Mask == r.Mark && (r.Protocol == 0 || r.Protocol == packet.Protocol) &&
		within16(r.Source, packet.SourcePort) && within16(r.Target, packet.DestinationPort)
	return fits != r.Invert
}

func within16(p rtnl.Ports, port uint16) bool {
	return p == rtnl.Ports{} || p.Low <= port && port <= p.Top
}

// longest is the table's longest route to the address, nil for none.
func (p *Place) longest(table uint32, a netip.Addr) (best *netlink.Route) {
	family := unix.AF_INET6
	if a.Is4() {
		family = unix.AF_INET
	}
	routes, _ := p.RouteListFiltered(family, &netlink.Route{Table: int(table)}, netlink.RT_FILTER_TABLE) // what is not read explains nothing
	for i := range routes {
		r := &routes[i]
		if (r.Dst == nil || r.Dst.Contains(a.AsSlice())) && (best == nil || length(r) > length(best) || length(r) == length(best) && uint32(r.Priority) < uint32(best.Priority)) {
			best = r
		}
	}
	return best
}

func length(r *netlink.Route) int {
	if r.Dst == nil {
		return 0
	}
	bits, _ := r.Dst.Mask.Size()
	return bits
}

func destination(r *netlink.Route) string {
	if r.Dst == nil || length(r) == 0 {
		return "default"
	}
	return r.Dst.String()
}
