package rtnl

import (
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// withoutStatistics asks for a link without its counters, which are half of what the kernel says of it.
func withoutStatistics(r *nl.NetlinkRequest) *nl.NetlinkRequest {
	r.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	return r
}

// LinkByName reads one link. The error is ENODEV where there is none, as under a name that is longer than any link's.
func (c *Conn) LinkByName(name string) (netlink.Link, error) {
	if len(name) >= unix.IFNAMSIZ {
		return nil, unix.ENODEV
	}
	return c.link(byName(unix.RTM_GETLINK, name))
}

// LinksByName reads those of the links that there are, by one request.
func (c *Conn) LinksByName(names ...string) (links []netlink.Link, err error) {
	var requests []*nl.NetlinkRequest
	for _, name := range names {
		if len(name) < unix.IFNAMSIZ {
			requests = append(requests, withoutStatistics(byName(unix.RTM_GETLINK, name)))
		}
	}
	bodies, err := c.read(requests...)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return nil, err
	}
	for _, body := range bodies {
		link, err := netlink.LinkDeserialize(nil, body)
		if err != nil {
			return nil, err
		}
		links = append(links, link)
	}
	return links, nil
}

// LinkByIndex reads one link. The error is ENODEV where there is none.
func (c *Conn) LinkByIndex(index int) (netlink.Link, error) {
	return c.link(byIndex(unix.RTM_GETLINK, index))
}

func (c *Conn) link(request *nl.NetlinkRequest) (netlink.Link, error) {
	bodies, err := c.Read(withoutStatistics(request))
	if err != nil {
		return nil, err
	}
	if len(bodies) == 0 {
		return nil, errUnanswered
	}
	return netlink.LinkDeserialize(nil, bodies[0])
}
