package step

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// settings reads keys below net/ipv6/conf/eth0 of the container.
func (h *host) settings(keys ...string) string {
	h.Helper()
	var values []string
	for _, key := range keys {
		value, _, err := h.Container.Sysctl("net/ipv6/conf/eth0/" + key)
		h.must(err)
		values = append(values, key+"="+value)
	}
	return strings.Join(values, " ")
}

// A container whose namespace has IPv6 switched off gets its IPv6 address all the same, as from the reference.
func TestAddressesWithoutIPv6(t *testing.T) {
	onHost(t, func(h *host) {
		h.inside("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
		h.apply(br, pair, addrs, pairUp, routes)
		h.must(addrs.Verify(h.ctx, h.Site))
		if got := h.settings("disable_ipv6", "keep_addr_on_down"); got != "disable_ipv6=0 keep_addr_on_down=1" {
			t.Error(got)
		}
	})
}

// IPv4 alone leaves it switched off.
func TestIPv4LeavesIPv6Alone(t *testing.T) {
	onHost(t, func(h *host) {
		h.inside("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
		h.apply(br, pair, Addresses{IfName: "eth0", Addrs: prefixes("10.1.0.2/24")}, pairUp)
		if got := h.settings("disable_ipv6", "accept_ra", "autoconf"); got != "disable_ipv6=1 accept_ra=1 autoconf=1" {
			t.Error(got)
		}
	})
}

func TestRouterAdvertisements(t *testing.T) {
	for name, c := range map[string]struct {
		step Addresses
		want string
	}{
		"IPv6":       {addrs, "accept_ra=0 autoconf=0 accept_dad=0"},
		"acceptRA":   {Addresses{IfName: "eth0", Addrs: addrs.Addrs, AcceptRA: true}, "accept_ra=1 autoconf=1 accept_dad=0"},
		"enabledad":  {Addresses{IfName: "eth0", Addrs: addrs.Addrs, DAD: true}, "accept_ra=0 autoconf=0 accept_dad=1"},
		"IPv4 alone": {Addresses{IfName: "eth0", Addrs: addrs.Addrs[:1]}, "accept_ra=1 autoconf=1 accept_dad=0"},
		"unknown":    {Addresses{IfName: "eth0"}, "accept_ra=1 autoconf=1 accept_dad=1"},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.apply(br, pair, c.step)
				if got := h.settings("accept_ra", "autoconf", "accept_dad"); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// More than what was asked for is no drift: other plugins add to a container.
func TestMoreIsNoDrift(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(full...)
		h.apply(routes)
		h.inside("ip addr add 10.7.0.2/24 dev eth0")
		h.inside("ip route add 198.51.100.0/24 via 10.1.0.1")
		h.inside("ip link set eth0 mtu 1400") // a tuning plugin's, where prevResult has none
		h.must(addrs.Verify(h.ctx, h.Site))
		h.must(routes.Verify(h.ctx, h.Site))
		h.must(pair.Verify(h.ctx, h.Site))
	})
}

// Routes to one destination by two gateways: both are there (IPv6 makes them one with two next hops), and each is missed.
func TestTwoGateways(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(full...)
		before := h.snapshot()
		r := Routes{IfName: "eth0", Subnets: addrs.Addrs}
		for _, via := range []string{"10.1.0.1", "10.1.0.9", "fd00::1", "fd00::9"} {
			gateway := netip.MustParseAddr(via)
			dst, _ := netip.PrefixFrom(gateway, gateway.BitLen()).Addr().Prefix(0)
			r.Routes = append(r.Routes, Route{Dst: dst, Via: gateway})
		}
		h.apply(r)
		h.must(r.Verify(h.ctx, h.Site))
		if created, err := r.Apply(h.ctx, h.Site); created || err != nil {
			t.Errorf("applied again: created %v, %v", created, err)
		}
		for _, via := range []string{"10.1.0.9", "fd00::9"} {
			h.inside("ip route del default via " + via)
			refuses(t, r.Verify(h.ctx, h.Site), fault.Drift, "via "+via)
		}
		h.must(r.Undo(h.ctx, h.Site))
		h.same("undone", before)
	})
}

// A route that source based routing moved to a table of its own is still there.
func TestRouteMovedToTable(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(full...)
		h.apply(routes)
		h.inside("ip route del default")
		h.inside("ip route add default via 10.1.0.1 table 200")
		h.must(routes.Verify(h.ctx, h.Site))
	})
}

func TestDAD(t *testing.T) {
	onHost(t, func(h *host) {
		a, d := addrs, DAD{IfName: "eth0", Addrs: addrs.Addrs}
		a.DAD = true
		h.apply(br, pair, a, pairUp)
		tentative := func() bool { return strings.Contains(h.inside("ip -6 addr show dev eth0 tentative"), "fd00::2") }
		if !tentative() {
			t.Fatal("the address is usable at once")
		}
		h.must(d.Verify(h.ctx, h.Site))
		if created, err := d.Apply(h.ctx, h.Site); created || err != nil {
			t.Errorf("created %v, %v", created, err)
		}
		if tentative() {
			t.Error("the address is not usable yet")
		}
		h.must(d.Verify(h.ctx, h.Site))
		h.must(d.Undo(h.ctx, h.Site))
	})
}

// Two containers with one IPv6 address: the second is told, by the kernel's event.
func TestDADFails(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		h.join("c2", 2, "fd00::2/64")
		a := addrs
		a.DAD = true
		h.apply(pair, a, pairUp)
		_, err := DAD{IfName: "eth0", Addrs: addrs.Addrs}.Apply(h.ctx, h.Site)
		refuses(t, err, fault.Taken, "fd00::2/64", "somebody on the network has it already")
		refuses(t, DAD{IfName: "eth0", Addrs: addrs.Addrs}.Verify(h.ctx, h.Site), fault.Drift, "fd00::2/64")
	})
}

// An interface that vanished is named in the words by which runtimes know that it is gone.
func TestInterfaceGone(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(full...)
		h.inside("ip link del eth0")
		for _, err := range []error{addrs.Verify(h.ctx, h.Site), routes.Verify(h.ctx, h.Site), DAD{IfName: "eth0", Addrs: addrs.Addrs}.Verify(h.ctx, h.Site)} {
			refuses(t, err, fault.Drift, "link eth0: not found on the container's side")
		}
		refuses(t, pairUp.Verify(h.ctx, h.Site), fault.Drift, "eth0", link)
		refuses(t, pair.Verify(h.ctx, h.Site), fault.Drift, link)
		for _, step := range full[1:] {
			h.must(step.Undo(h.ctx, h.Site))
		}
		h.must(routes.Undo(h.ctx, h.Site))
	})
}
