package observe

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
	"github.com/trestle-cni/trestle/test/nstest"
)

// filled are what an owner may fill his namespace with, each by a request for one more.
var filled = map[string]func(netip.Addr) *nl.NetlinkRequest{
	"routes": func(a netip.Addr) *nl.NetlinkRequest {
		return rtnl.NewRoute(rtnl.Route{Link: 2, Dst: netip.PrefixFrom(a, 32)})
	},
	"neighbours": func(a netip.Addr) *nl.NetlinkRequest {
		r := rtnl.Request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE)
		r.AddData(&netlink.Ndmsg{Family: unix.AF_INET, Index: 2, State: unix.NUD_PERMANENT})
		r.AddData(nl.NewRtAttr(unix.NDA_DST, a.AsSlice()))
		r.AddData(nl.NewRtAttr(unix.NDA_LLADDR, net.HardwareAddr{2, 0, 0, 0, 0, 1}))
		return r
	},
}

// TestHostileNamespaces has namespaces that their owner filled, each with something else. Of such a one nothing is known, and why is said; the others are
// read.
func TestHostileNamespaces(t *testing.T) {
	for name, one := range filled {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "usual")
				nstest.Namespace(t, "full")
				if err := nstest.In("/run/netns/full", func() error { return fill(one, 150_000) }); err != nil {
					t.Fatal(err)
				}
				host, err := Read(t.Context(), Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range host.Namespaces {
					full, seen := n.Name == "full", len(n.Links)+len(n.Routes)+len(n.Neighbours) > 0
					if full != strings.Contains(n.Closed, budget.ErrOver.Error()+": takes more than ") || full == seen {
						t.Errorf("%s: closed %q, %d links, %d routes, %d neighbours", n.Name, n.Closed, len(n.Links), len(n.Routes), len(n.Neighbours))
					}
				}
				if len(host.Problems) > 0 {
					t.Errorf("problems: %v", host.Problems)
				}
			})
		})
	}
}

// fill sends so many requests, some at a time.
func fill(one func(netip.Addr) *nl.NetlinkRequest, number int) error {
	conn, err := rtnl.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Send(rtnl.NewBridge("eth0", nil, 0, false), rtnl.SetUp("eth0")); err != nil { // the second link of the namespace
		return err
	}
	addr, some := netip.MustParseAddr("10.0.0.1"), make([]*nl.NetlinkRequest, 250)
	for range number / len(some) {
		for i := range some {
			some[i], addr = one(addr), addr.Next()
		}
		if err := conn.Send(some...); err != nil {
			return err
		}
	}
	return nil
}
