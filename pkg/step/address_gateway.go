package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Gateway is the containers' gateway addresses on a bridge, or on its port for a VLAN. It is shared ground.
type Gateway struct {
	Link   string
	Bridge string         // whose ports the containers are; empty: Link
	Addrs  []netip.Prefix // the gateway's address with the length of the containers' subnet
	Force  bool           // an address in the way is replaced instead of being an error
	Blocks bool           // the network is of several subnets, each with a gateway of its own
}

func (g Gateway) String() string { return "gateway on " + g.Link }

// Guard refuses another gateway's address.
func (g Gateway) Guard(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, g.Link)
	if err != nil || link == nil {
		return err
	}
	_, _, err = g.compare(s.Host, link.Attrs().Index)
	return err
}

// Apply puts the addresses on the link. They are usable at once: duplicate address detection would leave an IPv6 gateway silent for a second.
func (g Gateway) Apply(_ context.Context, s *site.Site) (bool, error) {
	if len(g.Addrs) == 0 {
		return false, nil
	}
	link, err := need(s.Host, g.Link)
	if err != nil {
		return false, err
	}
	index := link.Attrs().Index
	missing, inTheWay, err := g.compare(s.Host, index)
	if err != nil {
		return false, err
	}
	for _, p := range inTheWay {
		s.Logf("%s: %s replaced (forceAddress)", g, p)
	}
	if err := delAddrs(s.Host, index, inTheWay); err != nil {
		return false, err
	}
	return addAddrs(s.Host, index, missing, unix.IFA_F_NODAD, rtnl.Proto)
}

// compare returns what is missing on the link and what is in its way. Without Force something in the way is an error. A link has one IPv4
// gateway address, as in the reference; IPv6 ones, and those of blocks, may stand side by side unless their subnets overlap.
func (g Gateway) compare(host *site.Side, index int) (missing, inTheWay []netip.Prefix, err error) {
	if len(g.Addrs) == 0 {
		return nil, nil, nil
	}
	have, err := host.Conn.Addrs(index)
	if err != nil {
		return nil, nil, err
	}
	for _, want := range g.Addrs {
		if slices.ContainsFunc(have, func(a rtnl.Addr) bool { return a.Prefix == want }) {
			continue
		}
		missing = append(missing, want)
		for _, a := range have {
			if !g.collides(want, a.Prefix) || slices.Contains(g.Addrs, a.Prefix) {
				continue
			}
			if !g.Force {
				return nil, nil, fault.New(fault.Taken, "use another bridge, that gateway, or forceAddress",
					"%s: the link has %s", want, a.Prefix)
			}
			inTheWay = append(inTheWay, a.Prefix)
		}
	}
	return missing, inTheWay, nil
}

func (g Gateway) collides(a, b netip.Prefix) bool {
	return a.Overlaps(b) || a.Addr().Is4() && b.Addr().Is4() && !g.Blocks
}

// Undo removes the addresses that we put there, as the kernel's mark of them says, when the bridge has no port left but the host's own. Without the
// mark (before Linux 5.18) an address stays, and goes with a bridge that we made.
func (g Gateway) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, g.Link)
	if err != nil || link == nil {
		return err
	}
	if used, err := occupied(s.Host, cmp.Or(g.Bridge, g.Link)); err != nil || used {
		return err
	}
	index := link.Attrs().Index
	have, err := s.Host.Conn.Addrs(index)
	var ours []netip.Prefix
	for _, a := range have {
		if a.Proto == rtnl.Proto {
			ours = append(ours, a.Prefix)
		}
	}
	return fault.Join(err, delAddrs(s.Host, index, ours))
}

// Verify wants every address to be there; others beside them are no drift.
func (g Gateway) Verify(_ context.Context, s *site.Site) error {
	if len(g.Addrs) == 0 {
		return nil
	}
	link, err := need(s.Host, g.Link)
	if err != nil {
		return err
	}
	have, err := s.Host.Conn.Addrs(link.Attrs().Index)
	if err != nil {
		return err
	}
	return missingAddr(g.Addrs, have)
}

func missingAddr(want []netip.Prefix, have []rtnl.Addr) error {
	for _, p := range want {
		if lacks(have, p) {
			found := make([]netip.Prefix, len(have))
			for i, a := range have {
				found[i] = a.Prefix
			}
			return drift("", p, found)
		}
	}
	return nil
}

func lacks(have []rtnl.Addr, p netip.Prefix) bool {
	return !slices.ContainsFunc(have, func(a rtnl.Addr) bool { return a.Prefix == p })
}

// addressError says what an operator can do about an address that the kernel refuses.
func addressError(p netip.Prefix, err error) error {
	if p.Addr().Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)) {
		return fault.New(fault.Unsupported, "is IPv6 disabled, or the link's MTU below 1280? see net.ipv6.conf.*.disable_ipv6 and the kernel's ipv6.disable",
			"address %s: %w", p, err)
	}
	return fmt.Errorf("address %s: %w", p, err)
}
