package step

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
)

// A client that goes on sending from its port after a DEL begins no flow to the container again: what was dropped is gone when Undo returns.
func TestClaimUndoUnderFire(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, gateway("10.1.0.1/24"), Forwarding{IPv4: true}, pair, addrs, pairUp, announceOne)
		h.must(nstest.In(h.netns, func() error {
			server, err := peer.Serve("c1", "udp", "10.1.0.2:53")
			if err == nil {
				t.Cleanup(func() { server.Close() })
			}
			return err
		}))
		c := publish(one, true)
		c.Ports = []firewall.Port{{Protocol: unix.IPPROTO_UDP, HostPort: 5353, Target: netip.MustParseAddrPort("10.1.0.2:53"),
			Subnet: netip.MustParsePrefix("10.1.0.0/24"), SNAT: firewall.SNATHairpin}}
		client, err := net.Dial("udp", "10.1.0.1:5353")
		h.must(err)
		defer client.Close()
		h.must(client.SetDeadline(time.Now().Add(slack.Of(10 * time.Second))))
		for range 10 {
			h.apply(c)
			if _, err := client.Write([]byte("?")); err != nil { // of the one before, which nobody took
				_, err = client.Write([]byte("?"))
				h.must(err)
			}
			_, err = client.Read(make([]byte, 100))
			h.must(err)
			h.must(c.Undo(h.ctx, h.Site))
			_, _ = client.Write([]byte("?")) // an error is of an earlier one, which nobody took
			flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			h.must(err)
			for _, f := range flows {
				if f.Reverse.SrcIP.String() == "10.1.0.2" {
					t.Errorf("a flow leads to the container after its DEL: %s", f)
				}
			}
		}
	})
}
