package step

import (
	"context"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/conntrack"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Flows that began before a port was published, or while another container had it, go on as they began. Removing them is done as well as
// can be: the ports are published or dropped whether it succeeds or not, and the flows end by themselves when their clients pause.

// divert removes the flows that would bypass what was just published.
func divert(s *site.Site, ports []firewall.Port) {
	track(s, ports, func(t *conntrack.Table) (int, error) {
		var prefixes []netip.Prefix // of the host, read when the first flow asks
		var err error
		local := func(addr netip.Addr) bool {
			if prefixes == nil && err == nil {
				prefixes, err = hostPrefixes(s)
			}
			return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
		}
		n, failed := t.Divert(ports, local)
		if failed != nil {
			err = failed
		}
		return n, err
	})
}

// cut removes the flows that lead to what is dropped, and says how many.
func cut(s *site.Site, ports []firewall.Port) int {
	return track(s, ports, func(t *conntrack.Table) (int, error) { return t.Cut(ports) })
}

// track runs do on the host's connection tracking, if any of the ports needs it, and returns how many flows it removed.
func track(s *site.Site, ports []firewall.Port, do func(*conntrack.Table) (int, error)) (n int) {
	if !slices.ContainsFunc(ports, func(p firewall.Port) bool { return conntrack.Tracked(p.Protocol) }) {
		return 0
	}
	if flows, known, err := s.Host.Sysctl("net/netfilter/nf_conntrack_count"); err == nil && known && flows == "0" {
		return 0
	}
	err := s.Host.Do(func() error {
		table, err := conntrack.Open()
		if err != nil {
			return err
		}
		defer table.Close()
		if n, err = do(table); n > 0 {
			s.Logf("flows removed: %d", n)
		}
		return err
	})
	if err != nil {
		s.Logf("flows left as they are: %v", err)
	}
	return n
}

// tracks says whether the host's connection tracking answers.
func tracks(s *site.Site) error {
	return s.Host.Do(func() error {
		table, err := conntrack.Open()
		if err != nil {
			return err
		}
		defer table.Close()
		return table.Ready()
	})
}

// published returns the ports that the claim's owner has now, as far as the filter can tell; else those of the claim.
func published(ctx context.Context, s *site.Site, filter firewall.Filter, c Claim) []firewall.Port {
	tells, ok := filter.(firewall.Publisher)
	if c.Role != firewall.Publish || !ok {
		return c.Ports
	}
	ports, err := tells.Published(ctx, c.Owner, c.Claim)
	if err != nil {
		s.Logf("flows of %s: %v", c.Owner, err)
		return c.Ports
	}
	return ports
}

// hostPrefixes returns what the host takes for its own addresses: its local routes, 127.0.0.0/8 among them.
func hostPrefixes(s *site.Site) ([]netip.Prefix, error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
	routes, err := s.Host.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
	prefixes := []netip.Prefix{}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		addr, _ := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		prefixes = append(prefixes, netip.PrefixFrom(addr.Unmap(), bits))
	}
	return prefixes, err
}
