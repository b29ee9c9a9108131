package step

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
)

var six = Localhost6{Targets: []netip.Addr{netip.MustParseAddr("fd00::2")}, Asked: true}

// answering is a host with a container that serves, and a port of ::1 that leads to it.
func answering(t *testing.T, f func(*host)) {
	onHost(t, func(h *host) {
		h.run("sysctl -qw net.bridge.bridge-nf-call-ip6tables=0 net.ipv6.conf.default.accept_dad=0")
		h.apply(br, gateway("fd00::1/64"), Forwarding{IPv6: true}, pair, addrs, pairUp, announceOne)
		h.must(nstest.In(h.netns, func() error {
			server, err := peer.Serve("c1", "tcp", "[fd00::2]:80")
			if err == nil {
				t.Cleanup(func() { server.Close() })
			}
			return err
		}))
		c := publish(one, true)
		c.Ports = []firewall.Port{{Protocol: 6, HostIP: netip.IPv6Loopback(), HostPort: 8080, Target: netip.MustParseAddrPort("[fd00::2]:80"),
			Subnet: netip.MustParsePrefix("fd00::/64"), SNAT: firewall.SNATHairpin}}
		h.apply(c)
		f(h)
	})
}

func (h *host) hears(want string) {
	h.Helper()
	if got, err := peer.Ask("tcp", "[::1]:8080", slack.Of(5*time.Second)); got != want || err != nil {
		h.Errorf("by ::1: %q, %v", got, err)
	}
}

// The host's own programs reach a published port by ::1, over a route that goes with the bridge.
func TestLocalhost6(t *testing.T) {
	answering(t, func(h *host) {
		refuses(t, six.Verify(h.ctx, h.Site), fault.Drift, "::1", "br0", "none")
		h.must(six.Guard(h.ctx, h.Site))
		for range 2 {
			if created, err := six.Apply(h.ctx, h.Site); created || err != nil {
				t.Errorf("created %v, %v", created, err)
			}
		}
		h.must(six.Verify(h.ctx, h.Site))
		h.hears("c1 sees fd00::1\n")
		h.must(six.Undo(h.ctx, h.Site))
		h.must(six.Verify(h.ctx, h.Site))
		// A second bridge has a route of its own, and the first one keeps its.
		h.run("ip link add br1 up type bridge")
		h.run("ip addr add fd00:1::1/64 dev br1 nodad")
		other := Localhost6{Targets: []netip.Addr{netip.MustParseAddr("fd00:1::2")}, Asked: true}
		h.apply(other)
		h.must(other.Verify(h.ctx, h.Site))
		h.must(six.Verify(h.ctx, h.Site))
		h.hears("c1 sees fd00::1\n")
		// What is lost comes back.
		h.run("ip -6 route del local ::1/128 dev br0 table local metric 1024")
		refuses(t, six.Verify(h.ctx, h.Site), fault.Drift, "::1", "br0")
		h.must(other.Verify(h.ctx, h.Site))
		h.apply(six)
		h.hears("c1 sees fd00::1\n")
		h.run("ip link del br1")
		h.run("ip link del br0")
		if left := h.run("ip -6 route show table local ::1"); left != "local ::1 dev lo proto kernel metric 0 pref medium" {
			t.Errorf("left of the routes to ::1:\n%s", left)
		}
	})
}

// Where answers cannot come back, ::1 is refused to who asked for it, before anything is made, and CHECK says so; others are served.
func TestLocalhost6Impossible(t *testing.T) {
	for breaks, word := range map[string]string{
		"sysctl -qw net.bridge.bridge-nf-call-ip6tables=1": "bridge-nf-call-ip6tables",
		"ip link set br0 type bridge nf_call_ip6tables 1":  "nf_call_ip6tables of br0",
	} {
		t.Run(strings.ReplaceAll(word, " ", "-"), func(t *testing.T) {
			answering(t, func(h *host) { h.impossible(breaks, word) })
		})
	}
}

func (h *host) impossible(breaks, word string) {
	h.apply(six)
	h.run(breaks)
	refuses(h, six.Guard(h.ctx, h.Site), fault.Unsupported, "::1", word, "answer")
	refuses(h, six.Verify(h.ctx, h.Site), fault.Drift, "::1", word)
	wide := Localhost6{Targets: six.Targets}
	h.must(wide.Guard(h.ctx, h.Site))
	h.apply(wide)
	h.must(wide.Verify(h.ctx, h.Site))
	if _, err := net.DialTimeout("tcp", "[::1]:8080", time.Second); err == nil {
		h.Error("it is reached all the same: the refusal is wrong")
	}
}

// A container that is no neighbour of the host cannot answer either.
func TestLocalhost6Elsewhere(t *testing.T) {
	onHost(t, func(h *host) {
		refuses(t, six.Guard(h.ctx, h.Site), fault.Unsupported, "fd00::2 is not a neighbour")
		wide := Localhost6{Targets: six.Targets}
		h.must(wide.Guard(h.ctx, h.Site))
		h.apply(wide)
		h.must(wide.Verify(h.ctx, h.Site))
	})
}
