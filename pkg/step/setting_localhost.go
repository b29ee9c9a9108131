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

// Localhost is the host's own programs reaching published ports by 127.0.0.1: the kernel routes such packets to the containers' bridge
// (route_localnet), and the packet filter's guard keeps everybody else's packets for 127.0.0.0/8 out (CVE-2020-8558). It is shared
// ground: the setting belongs to the bridge and goes with it.
type Localhost struct {
	Owner   owner.Owner  // whose ports they are
	Targets []netip.Addr // IPv4 addresses of the container
}

func (l Localhost) String() string { return "ports on 127.0.0.1" }

// link returns the host's link that routes to the target; empty when none does.
func (l Localhost) link(s *site.Site, target netip.Addr) (string, error) {
	to, err := s.Host.Conn.PathTo(target, 0)
	if err != nil {
		return "", nil // no route: then nothing is to be allowed either
	}
	link, err := s.Host.LinkByIndex(to.Link)
	if err != nil {
		return "", err
	}
	return link.Attrs().Name, nil
}

func localnet(link string) string { return "net/ipv4/conf/" + link + "/route_localnet" }

// Apply commits the guard before it allows anything.
func (l Localhost) Apply(ctx context.Context, s *site.Site) (bool, error) {
	for _, target := range l.Targets {
		link, err := l.link(s, target)
		if err != nil || link == "" || link == "lo" {
			return false, err
		}
		filter, err := s.Filter()
		if err != nil {
			return false, err
		}
		if err := filter.Ground(ctx); err != nil {
			return false, fmt.Errorf("guard: %w", err)
		}
		if err := set(s.Host, localnet(link), "1"); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Undo leaves the setting to the bridge.
func (l Localhost) Undo(context.Context, *site.Site) error { return nil }

// Verify wants the setting, and above all never without the guard.
func (l Localhost) Verify(ctx context.Context, s *site.Site) error {
	link, err := l.open(s)
	if err != nil || link == "" {
		return err
	}
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	if err := filter.Grounded(ctx); err != nil {
		return drift("guard of 127.0.0.0/8, which "+localnet(link)+" needs", "whole", err)
	}
	return nil
}

// open returns the link that has the setting, empty where none needs it, or the drift that it does not have it.
func (l Localhost) open(s *site.Site) (string, error) {
	if len(l.Targets) == 0 { // there is one at the most
		return "", nil
	}
	link, err := l.link(s, l.Targets[0])
	if err != nil || link == "" || link == "lo" {
		return "", err
	}
	value, _, err := s.Host.Sysctl(localnet(link))
	if err == nil && value != "1" {
		err = drift(localnet(link), 1, value)
	}
	return link, err
}

// Excused is the guard to what the reference made, which has none.
func (l Localhost) Excused(ctx context.Context, s *site.Site) bool {
	_, err := l.open(s)
	return err == nil && foreign(ctx, s, l.Owner)
}

// Ready reports the setting without the guard on any link of the host.
func (l Localhost) Ready(ctx context.Context, s *site.Site) error {
	links, err := s.Host.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.Attrs().Flags&unix.IFF_LOOPBACK != 0 || rtnl.Paired(link) {
			continue // the setting is only ever on bridges, and thousands of pods must not make STATUS slow
		}
		value, _, err := s.Host.Sysctl(localnet(link.Attrs().Name))
		if err != nil || value != "1" {
			continue
		}
		filter, err := s.Filter()
		if err != nil {
			return err
		}
		if err := filter.Grounded(ctx); err != nil {
			return fault.New(fault.NoService, "the next ADD with a port mends it", "%s is 1 without the guard of 127.0.0.0/8: %w",
				localnet(link.Attrs().Name), err)
		}
		return nil
	}
	return nil
}
