package rtnl

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// TunOwners says for whom the tap with the index is: a user and a group, and -1 in the place of each where that is anybody. (The library takes nobody's for root's.)
func (c *Conn) TunOwners(index int) (user, group int64, err error) {
	bodies, err := c.Read(withoutStatistics(byIndex(unix.RTM_GETLINK, index)))
	if err != nil || len(bodies) == 0 {
		return -1, -1, err
	}
	data := attribute(attribute(bodies[0][unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO), nl.IFLA_INFO_DATA)
	number := func(kind uint16) int64 {
		if value := attribute(data, kind); len(value) == 4 {
			return int64(binary.NativeEndian.Uint32(value))
		}
		return -1
	}
	return number(nl.IFLA_TUN_OWNER), number(nl.IFLA_TUN_GROUP), nil
}
