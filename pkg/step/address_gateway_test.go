package step

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
)

func gateway(texts ...string) Gateway { return Gateway{Link: "br0", Addrs: prefixes(texts...)} }

func TestGatewayConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		have, want string
		conflict   bool
		blocks     bool
	}{
		"another IPv4 address":               {"10.9.0.1/24", "10.1.0.1/24", true, false},
		"another in the same subnet":         {"10.1.0.254/24", "10.1.0.1/24", true, false},
		"the same with another length":       {"10.1.0.1/16", "10.1.0.1/24", true, false},
		"IPv6 in another subnet":             {"fd01::1/64", "fd00::1/64", false, false},
		"IPv6 in the same subnet":            {"fd00::2/64", "fd00::1/64", true, false},
		"IPv6 in a subnet around it":         {"fd00::9/32", "fd00::1/64", true, false},
		"the other family":                   {"fd00::1/64", "10.1.0.1/24", false, false},
		"another block":                      {"10.1.0.65/26", "10.1.0.1/26", false, true},
		"a block around it":                  {"10.1.0.65/24", "10.1.0.1/26", true, true},
		"another block of IPv6":              {"fd00:0:0:1::1/64", "fd00::1/64", false, true},
		"IPv4 beside the link-local address": {"fe80::1/64", "10.1.0.1/24", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.apply(br)
				h.run("ip addr add " + c.have + " dev br0")
				g := gateway(c.want)
				g.Blocks = c.blocks
				if c.conflict {
					h.untouched(g, fault.Taken, c.have, c.want)
				}
				g.Force = c.conflict
				h.must(g.Guard(h.ctx, h.Site))
				h.apply(g)
				h.must(g.Verify(h.ctx, h.Site))
				if stays := strings.Contains(h.run("ip addr show br0"), " "+c.have+" "); stays == c.conflict {
					t.Errorf("%s is still there: %v", c.have, stays)
				}
			})
		})
	}
}

// Only what we put on a bridge is taken off, and only when nobody is left on it.
func TestGatewayUndo(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add br0 type bridge")
		h.run("ip addr add 192.0.2.1/24 dev br0")
		h.run("ip addr add fd09::1/64 dev br0 nodad")
		g := gateway("192.0.2.1/24", "fd00::1/64", "fd01::1/64")
		h.apply(br, g, pair)
		h.must(g.Undo(h.ctx, h.Site))
		h.must(g.Verify(h.ctx, h.Site))
		h.must(pair.Undo(h.ctx, h.Site))
		h.must(g.Undo(h.ctx, h.Site))
		out := h.run("ip addr show br0")
		for text, stays := range map[string]bool{"192.0.2.1/24": true, "fd09::1/64": true, "fd00::1/64": false, "fd01::1/64": false} {
			if strings.Contains(out, text) != stays {
				t.Errorf("%s stays: %v, want %v", text, !stays, stays)
			}
		}
	})
}

// A gateway answers from its first moment on, with no duplicate address detection to wait for (B11).
func TestGatewayAtOnce(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, gateway("fd00::1/64"))
		if out := h.run("ip -6 addr show dev br0 tentative"); strings.Contains(out, "fd00::1") {
			t.Errorf("the gateway is tentative: %s", out)
		}
	})
}

// Without values, as on DEL, nothing is asked and nothing is made.
func TestGatewayUnknown(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		before := h.snapshot()
		g := gateway()
		h.apply(g)
		h.must(g.Verify(h.ctx, h.Site))
		h.must(g.Guard(h.ctx, h.Site))
		h.same("applied without values", before)
	})
}

// A host that has IPv6 switched off is told so before an address half works.
func TestGatewayWithoutIPv6(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
		h.apply(br)
		_, err := gateway("fd00::1/64").Apply(h.ctx, h.Site)
		refuses(t, err, fault.Unsupported, "fd00::1/64")
		if !strings.Contains(fault.Hint(err), "disable_ipv6") {
			t.Errorf("hint %q", fault.Hint(err))
		}
		h.apply(gateway("10.1.0.1/24"))
	})
}

func TestForwarding(t *testing.T) {
	onHost(t, func(h *host) {
		for _, c := range []struct {
			step Forwarding
			keys []string
		}{
			{Forwarding{IPv4: true}, []string{"net/ipv4/ip_forward"}},
			{Forwarding{IPv6: true}, []string{"net/ipv6/conf/all/forwarding"}},
			{Forwarding{}, nil},
		} {
			for _, key := range c.keys {
				_, err := h.Host.SetSysctl(key, "0")
				h.must(err)
				refuses(t, c.step.Verify(h.ctx, h.Site), fault.Drift, key)
			}
			for range 2 {
				if created, err := c.step.Apply(h.ctx, h.Site); created || err != nil {
					t.Errorf("%+v: created %v, %v", c.step, created, err)
				}
			}
			h.must(c.step.Undo(h.ctx, h.Site)) // it stays: other programs may rely on it
			h.must(c.step.Verify(h.ctx, h.Site))
		}
	})
}

func TestGatewayLinkGone(t *testing.T) {
	onHost(t, func(h *host) {
		g := Gateway{Link: "br0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}
		h.must(g.Guard(h.ctx, h.Site))
		h.must(g.Undo(h.ctx, h.Site))
		refuses(t, g.Verify(h.ctx, h.Site), fault.Drift, "link br0: not found on the host")
	})
}
