package rtnl

import (
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// LinkData is all that the kernel tells of a link at once.
type LinkData struct {
	netlink.Link
	Port *BridgePort // nil when it is not the port of a bridge

	ipv4, ipv6 Conf // its sysctls
}

// Links reads all links of the namespace in one dump, without their statistics.
func (c *Conn) Links() ([]LinkData, error) {
	r := Request(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	bodies, err := c.Read(withoutStatistics(r))
	if err != nil {
		return nil, err
	}
	links := make([]LinkData, 0, len(bodies))
	for _, body := range bodies {
		link, err := netlink.LinkDeserialize(nil, body)
		if err != nil {
			return nil, err
		}
		ipv4, ipv6 := confs(body)
		links = append(links, LinkData{Link: link, Port: bridgePort(body), ipv4: ipv4, ipv6: ipv6})
	}
	return links, nil
}

// Neighbours reads what is known of all neighbours of the namespace.
func (c *Conn) Neighbours() ([]*netlink.Neigh, error) {
	r := Request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
	r.AddData(&netlink.Ndmsg{})
	bodies, err := c.Read(r)
	if err != nil {
		return nil, err
	}
	list := make([]*netlink.Neigh, 0, len(bodies))
	for _, body := range bodies {
		one, err := netlink.NeighDeserialize(body)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// Numbers that golang.org/x/sys lacks: IFLA_INET_CONF and IFLA_INET6_CONF of include/uapi/linux/if_link.h; IPV4_DEVCONF_* of linux/ip.h;
// DEVCONF_* of linux/ipv6.h, and one, as that array begins with zero.
const (
	skipStatistics = 1 << 3 // RTEXT_FILTER_SKIP_STATS, linux/rtnetlink.h

	iflaInetConf  = 1
	iflaInet6Conf = 2

	rpFilter     = 8
	ipv6AcceptRA = 3 + 1
	ipv6Disable  = 26 + 1
)

// Settings are those of the link's sysctls that decide whether packets get through, by family and name: ipv4/rp_filter. A link without IPv6 has
// none of its.
func (l LinkData) Settings() map[string]int {
	settings := make(map[string]int, 4)
	put := func(key string, conf Conf, number int) {
		if value, known := conf.Get(number); known {
			settings[key] = value
		}
	}
	put("ipv4/rp_filter", l.ipv4, rpFilter)
	put("ipv4/route_localnet", l.ipv4, RouteLocalnet)
	put("ipv6/accept_ra", l.ipv6, ipv6AcceptRA)
	put("ipv6/disable_ipv6", l.ipv6, ipv6Disable)
	return settings
}
