package rtnl

import (
	"errors"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Settings of IPv4 that rtnetlink knows by number: IPV4_DEVCONF_* of include/uapi/linux/ip.h.
const (
	SendRedirects = 6
	ARPNotify     = 22
	RouteLocalnet = 26
)

// IPv4Conf returns the named link's settings of IPv4; nil when it has none. The error is ENODEV where there is no such link.
func (c *Conn) IPv4Conf(link string) (Conf, error) {
	bodies, err := c.Read(withoutStatistics(byName(unix.RTM_GETLINK, link)))
	if err != nil || len(bodies) == 0 {
		return nil, err
	}
	ipv4, _ := confs(bodies[0])
	return ipv4, nil
}

// AcceptsRA returns the setting accept_ra of the link with the index, and false where it has no IPv6.
func (c *Conn) AcceptsRA(index int) (value int, known bool, err error) {
	bodies, err := c.Read(withoutStatistics(byIndex(unix.RTM_GETLINK, index)))
	if err != nil || len(bodies) == 0 {
		return 0, false, err
	}
	_, ipv6 := confs(bodies[0])
	value, known = ipv6.Get(ipv6AcceptRA)
	return value, known, nil
}

// confs returns the settings that are in what the kernel says of a link.
func confs(body []byte) (ipv4, ipv6 Conf) {
	families := attribute(body[unix.SizeofIfInfomsg:], unix.IFLA_AF_SPEC)
	return attribute(attribute(families, unix.AF_INET), iflaInetConf), attribute(attribute(families, unix.AF_INET6), iflaInet6Conf)
}

// Conf are the settings of a link, as the kernel lists them: an array of int32.
type Conf []byte

// Get returns the setting of that number, and false when this kernel does not have it.
func (c Conf) Get(number int) (value int, known bool) {
	if number < 1 || len(c) < 4*number {
		return 0, false
	}
	return int(int32(nl.NativeEndian().Uint32(c[4*(number-1):]))), true
}

// SetIPv4Conf returns the request that gives the named link a setting of IPv4.
func SetIPv4Conf(link string, number int, value uint32) *nl.NetlinkRequest {
	r := byName(unix.RTM_SETLINK, link)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC|unix.NLA_F_NESTED, nil)
	family := spec.AddRtAttr(unix.AF_INET|unix.NLA_F_NESTED, nil)
	family.AddRtAttr(iflaInetConf|unix.NLA_F_NESTED, nil).AddRtAttr(number, nl.Uint32Attr(value))
	r.AddData(spec)
	return r
}

// Forwards says whether the namespace routes packets of the family, AF_INET or AF_INET6 (RTM_GETNETCONF, include/uapi/linux/netconf.h).
func (c *Conn) Forwards(family uint8) (bool, error) {
	r := Request(unix.RTM_GETNETCONF, 0)
	r.AddData(netconf(family))
	r.AddData(nl.NewRtAttr(netconfIfIndex, nl.Uint32Attr(everyLink)))
	bodies, err := c.Read(r)
	if err != nil {
		return false, err
	}
	if len(bodies) == 0 {
		return false, errUnanswered
	}
	value := attribute(bodies[0][netconf(0).Len():], netconfForwarding)
	return len(value) == 4 && nl.NativeEndian().Uint32(value) != 0, nil
}

// Numbers that golang.org/x/sys lacks: NETCONFA_* of include/uapi/linux/netconf.h.
const (
	netconfIfIndex    = 1
	netconfForwarding = 2

	everyLink = 1<<32 - 1 // NETCONFA_IFINDEX_ALL, -1: the settings "all" of a family
)

// netconf is struct netconfmsg: a family.
type netconf uint8

func (netconf) Len() int { return unix.NLMSG_ALIGNTO }

func (n netconf) Serialize() []byte { return []byte{byte(n), 0, 0, 0} }

// rtmGetVLAN is RTM_GETVLAN of include/uapi/linux/rtnetlink.h, Linux 5.6.
const rtmGetVLAN = 114

// FiltersVLANs says whether bridges of this kernel can (CONFIG_BRIDGE_VLAN_FILTERING). Nothing is made to find out: a kernel that can has an
// answer to who asks for the VLANs of a link, be it that it is no bridge. One that has not loaded its bridges yet is taken to.
func (c *Conn) FiltersVLANs() (bool, error) {
	if _, err := os.Stat("/sys/module/bridge"); err != nil {
		return true, nil
	}
	r := Request(rtmGetVLAN, unix.NLM_F_DUMP)
	r.AddData(vlansOf(1)) // lo
	_, err := c.Read(r)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) {
		err = nil
	}
	return err == nil, err
}

// vlansOf is struct br_vlan_msg of include/uapi/linux/if_bridge.h, of the link with that index.
type vlansOf uint32

// Len is the length of the message's head.
func (v vlansOf) Len() int { return 8 }

// Serialize is the message's head.
func (v vlansOf) Serialize() []byte {
	return append([]byte{unix.AF_BRIDGE, 0, 0, 0}, nl.Uint32Attr(uint32(v))...)
}
