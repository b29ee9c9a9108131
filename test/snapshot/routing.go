package snapshot

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var families = [...]int{unix.AF_INET, unix.AF_INET6}

func familyName(family int) string {
	if family == unix.AF_INET6 {
		return "inet6"
	}
	return "inet"
}

func addresses(names map[int]string) (lines []string, err error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	for _, a := range list {
		if kernelMade(a.IP) {
			continue
		}
		line := fmt.Sprintf("address %s %s scope %s", names[a.LinkIndex], a.IPNet, netlink.Scope(a.Scope))
		if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
			line += fmt.Sprintf(" peer %s", a.Peer)
		}
		if a.Label != "" && a.Label != names[a.LinkIndex] {
			line += " label " + a.Label
		}
		if a.Flags&unix.IFA_F_NODAD != 0 {
			line += " nodad"
		}
		if a.Flags&unix.IFA_F_NOPREFIXROUTE != 0 {
			line += " noprefixroute"
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// kernelMade is true for the IPv6 addresses that come and go with an interface's carrier.
func kernelMade(ip net.IP) bool { return ip.To4() == nil && ip.IsLinkLocalUnicast() }

// routes returns the routes of all tables but the local one, which follows from the addresses.
func routes(names map[int]string) (lines []string, err error) {
	for _, family := range families {
		list, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("routes: %w", err)
		}
		for _, r := range list {
			if r.Table == unix.RT_TABLE_LOCAL || r.Dst != nil && kernelMade(r.Dst.IP) || r.Flags&unix.RTM_F_CLONED != 0 {
				continue
			}
			lines = append(lines, routeLine(family, r, names))
		}
	}
	return lines, nil
}

func routeLine(family int, r netlink.Route, names map[int]string) string {
	line := fmt.Sprintf("route %s table %d", familyName(family), r.Table)
	if r.Dst == nil {
		line += " default"
	} else {
		line += " " + r.Dst.String()
	}
	if r.Gw != nil {
		line += " via " + r.Gw.String()
	}
	for _, hop := range r.MultiPath {
		line += fmt.Sprintf(" nexthop %s dev %s", hop.Gw, names[hop.LinkIndex])
	}
	line += fmt.Sprintf(" dev %s type %d proto %s scope %s metric %d", names[r.LinkIndex], r.Type, r.Protocol, r.Scope, r.Priority)
	if r.Src != nil {
		line += " src " + r.Src.String()
	}
	if r.MTU != 0 || r.AdvMSS != 0 {
		line += fmt.Sprintf(" mtu %d advmss %d", r.MTU, r.AdvMSS)
	}
	return line
}

func rules() (lines []string, err error) {
	for _, family := range families {
		list, err := netlink.RuleList(family)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		for _, r := range list {
			if r.Table == unix.RT_TABLE_UNSPEC && r.Protocol == unix.RTPROT_KERNEL {
				continue // to the tables of VRFs: the kernel makes it with a namespace's first, keeps it, and does not make it again
			}
			line := fmt.Sprintf("rule %s %s", familyName(family), r)
			if r.Mark != 0 || r.IifName != "" || r.OifName != "" {
				line += fmt.Sprintf(" mark %#x iif %q oif %q", r.Mark, r.IifName, r.OifName)
			}
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// neighbours returns the entries that somebody set; learned ones come and go.
func neighbours(names map[int]string) (lines []string, err error) {
	list, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("neighbours: %w", err)
	}
	for _, n := range list {
		if n.State&netlink.NUD_PERMANENT != 0 && (n.Family == unix.AF_INET || n.Family == unix.AF_INET6) {
			lines = append(lines, fmt.Sprintf("neighbour %s %s lladdr %s", names[n.LinkIndex], n.IP, n.HardwareAddr))
		}
	}
	return lines, nil
}
