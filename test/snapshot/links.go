package snapshot

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// links returns a line for each interface, and the interfaces' names by index.
func links() (lines []string, names map[int]string, err error) {
	list, err := netlink.LinkList()
	if err != nil {
		return nil, nil, fmt.Errorf("links: %w", err)
	}
	names = make(map[int]string)
	bridges := make(map[int]bool)
	for _, link := range list {
		names[link.Attrs().Index] = link.Attrs().Name
		bridges[link.Attrs().Index] = link.Type() == "bridge"
	}
	for _, link := range list {
		line := linkLine(link, names)
		if bridges[link.Attrs().MasterIndex] {
			port, err := netlink.LinkGetProtinfo(link)
			if err != nil {
				return nil, nil, fmt.Errorf("bridge port %s: %w", link.Attrs().Name, err)
			}
			line += fmt.Sprintf(" hairpin %t isolated %t", port.Hairpin, port.Isolated)
		}
		lines = append(lines, line)
	}
	return lines, names, nil
}

func linkLine(link netlink.Link, names map[int]string) string {
	a := link.Attrs()
	var b strings.Builder
	mac := a.HardwareAddr
	if link.Type() == "vrf" { // the kernel draws it, and no packet has it
		mac = nil
	}
	fmt.Fprintf(&b, "link %s %s mac %s mtu %d queue %d", a.Name, link.Type(), mac, a.MTU, a.TxQLen)
	flags := []struct {
		bit  uint32
		name string
	}{{unix.IFF_UP, "up"}, {unix.IFF_PROMISC, "promisc"}, {unix.IFF_ALLMULTI, "allmulti"}, {unix.IFF_NOARP, "noarp"}}
	for _, flag := range flags {
		if a.RawFlags&flag.bit != 0 {
			b.WriteString(" " + flag.name)
		}
	}
	if a.MasterIndex != 0 {
		b.WriteString(" master " + names[a.MasterIndex])
	}
	if br, ok := link.(*netlink.Bridge); ok && br.VlanFiltering != nil {
		fmt.Fprintf(&b, " vlan_filtering %t", *br.VlanFiltering)
	}
	if a.Alias != "" {
		fmt.Fprintf(&b, " alias %q", a.Alias)
	}
	return b.String()
}
