package rtnl

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

// What is read of all links at once is what the library reads of each; and whoever asks needs no right, since there is none that could be asked for.
func TestTraffic(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}))
		conn, err := Open()
		must(t, err)
		defer conn.Close()
		to, err := net.Dial("udp", "127.0.0.1:9")
		must(t, err)
		defer to.Close()
		for range 3 { // nobody listens there: the later ones find that out, and are sent all the same
			_, _ = to.Write(make([]byte, 1000))
		}
		all, err := conn.Traffic()
		must(t, err)
		if len(all) != 3 || all[1].SentBytes < 3000 || all[1].SentPackets < 3 {
			t.Errorf("%+v, want lo, a and b, and three datagrams of 1000 bytes by lo", all)
		}
		links, err := netlink.LinkList()
		must(t, err)
		for _, l := range links {
			s := l.Attrs().Statistics
			if want := (Traffic{s.RxPackets, s.TxPackets, s.RxBytes, s.TxBytes}); all[l.Attrs().Index] != want {
				t.Errorf("%s: %+v, want %+v", l.Attrs().Name, all[l.Attrs().Index], want)
			}
		}
	})
}
