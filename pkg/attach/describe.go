package attach

import (
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/site"
)

// describe fills in what a plan's result leaves to the kernel: the MAC of an interface that was there before (the bridge), and the first
// address of each family of a container's lo.
func describe(s *site.Site, result *types100.Result) error {
	for at, i := range result.Interfaces {
		side := s.Host
		if i.Sandbox != "" {
			side = s.Container
		}
		loopback := i.Sandbox != "" && i.Name == "lo"
		if i.Mac != "" && !loopback || side == nil {
			continue
		}
		link, err := side.LinkByName(i.Name)
		if err != nil {
			return fmt.Errorf("link %s: %w", i.Name, err)
		}
		if !loopback {
			i.Mac = link.Attrs().HardwareAddr.String()
		} else if err := describeAddrs(result, at, side, link); err != nil {
			return err
		}
	}
	return nil
}

// describeAddrs adds the first address of each family to the result, IPv4 first, as the kernel lists them.
func describeAddrs(result *types100.Result, at int, side *site.Side, link netlink.Link) error {
	have, err := side.Conn.Addrs(link.Attrs().Index)
	if err != nil {
		return fmt.Errorf("link %s: addresses: %w", link.Attrs().Name, err)
	}
	seen := make(map[bool]bool)
	for _, a := range have {
		if is4 := a.Addr().Is4(); !seen[is4] {
			seen[is4] = true
			result.IPs = append(result.IPs, &types100.IPConfig{Interface: &at, Address: IPNet(a.Prefix)})
		}
	}
	return nil
}
