package step

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Localhost6 is the host's own programs reaching published ports by [::1]. IPv6 has no route_localnet, and needs none: what is sent to ::1
// is translated, and masqueraded, on its way out. But the answer becomes one to ::1 on the containers' bridge, and the kernel takes packets
// for a loopback address in only by a link that has a route to it (rt6_need_strict, net/ipv6/route.c). So the bridge gets one in the table
// local, behind that of lo. From outside nothing is opened: packets that name ::1 on the wire are dropped before (ip6_rcv), and by
// the packet filter's guard. It is shared ground: the route belongs to the bridge and goes with it.
//
// Where the bridge's frames pass the filters of IPv6 (bridge-nf-call-ip6tables), the answer is translated before ip6_rcv sees it, and dropped.
type Localhost6 struct {
	Owner   owner.Owner  // whose ports they are
	Targets []netip.Addr // IPv6 addresses of the container
	Asked   bool         // a port is published on ::1 itself: if that cannot be, the ADD must fail
}

func (l Localhost6) String() string { return "ports on ::1" }

// path is how the host gets to a container.
type path struct {
	index int // of the link
	name  string
}

// direct returns the host's link on which the target is a neighbour; nil when there is none.
func direct(s *site.Site, target netip.Addr) (*path, error) {
	to, err := s.Host.Conn.PathTo(target, 0)
	if err != nil || to.Via || to.Local {
		return nil, nil // none, or by another router: the answer would not come back this way
	}
	link, err := s.Host.LinkByIndex(to.Link)
	if err != nil {
		return nil, err
	}
	return &path{link.Attrs().Index, link.Attrs().Name}, nil
}

// returns says whether the kernel takes in by the link what is for ::1.
func (p *path) returns(s *site.Site) bool {
	to, err := s.Host.Conn.PathTo(netip.IPv6Loopback(), p.index)
	return err == nil && to.Local
}

// behind is the metric of the route, higher than that of lo's, which is 0.
const behind = 1024

// make adds the route. Each bridge has one of its own, beside those of others.
func (p *path) make(s *site.Site) error {
	own := netip.PrefixFrom(netip.IPv6Loopback(), 128)
	route := rtnl.Route{Link: p.index, Dst: own, Table: unix.RT_TABLE_LOCAL, Local: true, Priority: behind}
	if err := s.Host.Conn.Send(rtnl.AppendRoute(route)); err != nil {
		return fmt.Errorf("route to ::1 over %s: %w", p.name, err)
	}
	return nil
}

const callsIPv6 = "net/bridge/bridge-nf-call-ip6tables"

// obstacle says why answers do not come back to ::1 though the route is there; empty: they do.
func (p *path) obstacle(s *site.Site) (string, error) {
	value, _, err := s.Host.Sysctl(callsIPv6)
	if err != nil {
		return "", err
	}
	if value == "1" {
		return callsIPv6 + " is 1", nil
	}
	own, err := s.Host.Conn.FiltersIPv6(p.name)
	if own {
		return "nf_call_ip6tables of " + p.name + " is 1", err
	}
	return "", err
}

func unreachable(why string) error {
	return fault.New(fault.Unsupported, "publish on another address, or turn that off", "host address ::1: %s, so that no answer would come back to it", why)
}

// Guard refuses, before anything is made, a port on ::1 that nobody would reach.
func (l Localhost6) Guard(_ context.Context, s *site.Site) error {
	if !l.Asked {
		return nil
	}
	for _, target := range l.Targets {
		p, err := direct(s, target)
		if err != nil {
			return err
		}
		if p == nil {
			return unreachable(fmt.Sprintf("%s is not a neighbour of the host", target))
		}
		if why, err := p.obstacle(s); err != nil || why != "" {
			return fault.Join(err, unreachable(why))
		}
	}
	return nil
}

// Apply commits the guard before it makes the route. Where nobody asked for ::1, and it cannot be, the ports are published all the same.
func (l Localhost6) Apply(ctx context.Context, s *site.Site) (bool, error) {
	for _, target := range l.Targets {
		p, err := direct(s, target)
		if err != nil || p == nil || p.returns(s) {
			return false, err
		}
		filter, err := s.Filter()
		if err != nil {
			return false, err
		}
		if err := filter.Ground(ctx); err != nil {
			return false, fmt.Errorf("guard: %w", err)
		}
		if err := p.make(s); err != nil {
			if l.Asked {
				return false, fault.New(fault.Unsupported, "publish on another address", "host address ::1: %w", err)
			}
			s.Logf("ports are not reached by ::1: %v", err)
			return false, nil
		}
		if why, err := p.obstacle(s); err == nil && why != "" {
			s.Logf("ports are not reached by ::1: %s", why)
		}
	}
	return false, nil
}

// Undo leaves the route to the bridge.
func (l Localhost6) Undo(context.Context, *site.Site) error { return nil }

// Excused is what the reference made: it does not open ::1.
func (l Localhost6) Excused(ctx context.Context, s *site.Site) bool { return foreign(ctx, s, l.Owner) }

// Verify wants the route and, where ::1 was asked for, nothing in the way of answers.
func (l Localhost6) Verify(_ context.Context, s *site.Site) error {
	for _, target := range l.Targets {
		p, err := direct(s, target)
		if err != nil || p == nil {
			return err
		}
		if !p.returns(s) {
			return drift("route to ::1 over "+p.name, "one in table local", "none")
		}
		if !l.Asked {
			continue
		}
		if why, err := p.obstacle(s); err != nil || why != "" {
			return fault.Join(err, drift("host address ::1", "answers", why))
		}
	}
	return nil
}
