package trial

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/slack"
)

// ofCIDRs is a pool of these.
func ofCIDRs(shape string, cidrs ...string) pool.Definition {
	d := pool.Definition{BlockSize: pool.Sizes{IPv4: 28, IPv6: 120}, Shape: shape}
	for _, cidr := range cidrs {
		d.CIDRs = append(d.CIDRs, netip.MustParsePrefix(cidr))
	}
	return d
}

// What another network has no pool comes to have; whatever else is below the prefix, all networks are found.
func TestPoolsAreApart(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	for name, d := range map[string]pool.Definition{
		"pods": ofCIDRs(pool.Routed, "10.9.0.0/24", "fd09::/112"), "pods-a": ofCIDRs(pool.Routed, "10.10.0.0/16"), "pods.b": ofCIDRs(pool.Flat, "10.11.0.0/24"), "p": ofCIDRs(pool.Routed, "10.12.0.0/24"),
	} {
		c.define(name, d)
	}
	s := c.dial("pods", slack.Of(5*time.Second))
	h := openHost(t, s, placesIn(dir, "n1"), "n1")
	join(t, h)
	claim(t, h)
	for _, key := range []string{"/cni/", "/cni/pods", "/cni/pods0/config", "/cni/broken/config", "/cni/none/block/4/00000000", "/cni//config", "/cnix/far/config"} {
		c.put(ctx, key, "{")
	}
	all, err := s.Pools(ctx)
	if names := slices.Sorted(maps.Keys(all)); err != nil || strings.Join(names, " ") != "p pods pods-a pods.b" {
		t.Fatalf("%v, %v", names, err)
	}
	for _, c := range []struct {
		network string
		next    pool.Definition
		want    string
	}{
		{"new", ofCIDRs(pool.Routed, "10.9.1.0/24"), ""},
		{"new", ofCIDRs(pool.Routed, "10.9.0.128/25"), "pool: 10.9.0.128/25 overlaps 10.9.0.0/24 of network pods"},
		{"new", ofCIDRs(pool.Routed, "10.0.0.0/8"), "of network pods-a"},
		{"new", ofCIDRs(pool.Routed, "10.13.0.0/24", "fd09::/64"), "fd09::/64 overlaps fd09::/112"},
		{"new", ofCIDRs(pool.Routed, "10.11.0.0/24"), ""},
		{"new", ofCIDRs(pool.Flat, "10.9.0.0/24"), ""},
		{"pods", ofCIDRs(pool.Routed, "10.9.0.0/24", "fd09::/112"), ""},
		{"pods", ofCIDRs(pool.Routed, "10.9.0.0/24", "fd09::/112", "10.10.7.0/24"), "10.10.7.0/24 overlaps 10.10.0.0/16 of network pods-a"},
	} {
		if err := agent.Apart(c.network, c.next, all); c.want == "" && err != nil {
			t.Errorf("%s, %v: %v", c.network, c.next.CIDRs, err)
		} else if c.want != "" {
			refused(t, err, fault.Config, c.want)
		}
	}
}
