package rtnl

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Traffic is what has gone through a link since it was made, as the link's own namespace sees it.
type Traffic struct{ ReceivedPackets, SentPackets, ReceivedBytes, SentBytes uint64 }

// Numbers of include/uapi/linux/if_link.h that golang.org/x/sys lacks.
const (
	statsHeader  = 12 // struct if_stats_msg: the link's index at 4, what is asked for at 8
	statsLink64  = 1  // IFLA_STATS_LINK_64, a struct rtnl_link_stats64, which begins as Traffic does
	statsWanted  = 1 << (statsLink64 - 1)
	trafficBytes = 4 * 8
)

// Traffic reads the counters of all links of the namespace, by index, and nothing else of them (RTM_GETSTATS, Linux 4.7). Nobody needs a right for it.
func (c *Conn) Traffic() (map[int]Traffic, error) {
	r := Request(unix.RTM_GETSTATS, unix.NLM_F_DUMP)
	r.AddRawData(binary.NativeEndian.AppendUint32(make([]byte, statsHeader-4), statsWanted))
	bodies, err := c.Read(r)
	if err != nil {
		return nil, err
	}
	all := make(map[int]Traffic, len(bodies))
	for _, body := range bodies {
		if len(body) < statsHeader {
			continue
		}
		attributes, err := nl.ParseRouteAttr(body[statsHeader:])
		if err != nil {
			return nil, err
		}
		for _, a := range attributes {
			if a.Attr.Type == statsLink64 && len(a.Value) >= trafficBytes {
				n := func(i int) uint64 { return binary.NativeEndian.Uint64(a.Value[8*i:]) }
				all[int(binary.NativeEndian.Uint32(body[4:]))] = Traffic{n(0), n(1), n(2), n(3)}
			}
		}
	}
	return all, nil
}
