package step

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Isolation keeps the link by which a container reaches the host from other such links: its bridge or, where the host's end is no port of one, that end. It
// is shared by all containers of the link.
type Isolation struct {
	Links   []string // the result's on the host
	Ingress firewall.Ingress
	Known   bool // there is a result
}

func (i Isolation) String() string { return "isolation" }

// segment finds the link. The reference takes the first of the result for a bridge, whatever it is: for a macvlan that is the container's, and a link
// of the host's that happens to have its name is cut off.
func (i Isolation) segment(s *site.Site) (string, error) {
	routed := ""
	for _, name := range i.Links {
		link, err := find(s.Host, name)
		switch {
		case err != nil:
			return "", err
		case link == nil || link.Type() == "bridge" || link.Type() == "ifb":
		case link.Attrs().MasterIndex == 0 && routed == "":
			routed = name
		case link.Attrs().MasterIndex != 0:
			master, err := s.Host.LinkByIndex(link.Attrs().MasterIndex)
			if err != nil {
				return "", fmt.Errorf("bridge of %s: %w", name, err)
			}
			if master.Type() == "bridge" {
				return master.Attrs().Name, nil
			}
		}
	}
	if routed == "" {
		return "", fault.New(fault.Unsupported, "leave ingressPolicy out of this network's list",
			"ingressPolicy: %s: of the links in prevResult none joins the container to a bridge or to the host", i.Ingress)
	}
	return routed, nil
}

// Guard refuses a container that hangs on no such link.
func (i Isolation) Guard(_ context.Context, s *site.Site) error {
	_, err := i.segment(s)
	return err
}

func (i Isolation) filter(s *site.Site) (firewall.Isolator, error) {
	filter, err := s.Filter()
	if err != nil {
		return nil, err
	}
	isolator, can := filter.(firewall.Isolator)
	if !can {
		return nil, fault.New(fault.Unsupported, "use another firewall backend", "isolation: not by this packet filter")
	}
	return isolator, nil
}

// Apply makes the link a segment.
func (i Isolation) Apply(ctx context.Context, s *site.Site) (bool, error) {
	link, err := i.segment(s)
	if err != nil {
		return false, err
	}
	filter, err := i.filter(s)
	if err != nil {
		return false, err
	}
	return filter.Isolate(ctx, link, i.Ingress)
}

// Undo ends what links are that are not in use: gone, or bridges without a port.
func (i Isolation) Undo(ctx context.Context, s *site.Site) error {
	filter, err := i.filter(s)
	if err != nil {
		return err
	}
	links, err := s.Host.Conn.Links()
	if err != nil {
		return err
	}
	ports := make(map[int]bool)
	for _, l := range links {
		ports[l.Attrs().MasterIndex] = true
	}
	return filter.Rejoin(ctx, func(name string) bool {
		for _, l := range links {
			if l.Attrs().Name == name {
				_, bridge := l.Link.(*netlink.Bridge)
				return !bridge || ports[l.Attrs().Index]
			}
		}
		return false
	})
}

// Verify looks whether the link is a segment still.
func (i Isolation) Verify(ctx context.Context, s *site.Site) error {
	link, err := i.segment(s)
	if err != nil {
		return err
	}
	filter, err := i.filter(s)
	if err != nil {
		return err
	}
	return filter.Isolated(ctx, link, i.Ingress)
}
