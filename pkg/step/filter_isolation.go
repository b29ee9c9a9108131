package step

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Isolation keeps the link by which a container reaches the host from other such links: its bridge or, where the host's end is no port of one, that end. It
// is shared by all containers of the link.
type Isolation struct {
	Links   []string // the result's on the host
	Own     string   // the attachment's end there, by its owner; it uses nothing any more when this is undone, and neither do Links
	Ingress firewall.Ingress
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

// open says that nothing is wanted. What others of the link want stays, and Undo looks for it.
func (i Isolation) open() bool { return i.Ingress == firewall.Open }

// Guard refuses a container that hangs on no such link.
func (i Isolation) Guard(_ context.Context, s *site.Site) error {
	if i.open() {
		return nil
	}
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
	if i.open() {
		return false, nil
	}
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

// Vacant says whether any link is a segment that nobody uses but this attachment: with the last container of a bridge goes what the bridge was.
func (i Isolation) Vacant(ctx context.Context, s *site.Site) (bool, error) {
	filter, err := i.filter(s)
	if err != nil {
		return false, err
	}
	links, err := filter.Segments(ctx)
	if err != nil || len(links) == 0 {
		return false, err
	}
	used, err := i.used(s)
	return err == nil && slices.ContainsFunc(links, func(name string) bool { return !used(name) }), err
}

// Undo ends what links are that are not in use.
func (i Isolation) Undo(ctx context.Context, s *site.Site) error {
	filter, err := i.filter(s)
	if err != nil {
		return err
	}
	used, err := i.used(s)
	if err != nil {
		return err
	}
	return filter.Rejoin(ctx, used)
}

// used looks at the host's links, and returns what says whether one is in use: it is there, and a bridge has a port, other than the attachment's own end.
func (i Isolation) used(s *site.Site) (func(string) bool, error) {
	links, err := s.Host.Conn.Links()
	if err != nil {
		return nil, err
	}
	own := func(name string) bool { return name == i.Own || slices.Contains(i.Links, name) }
	here, ports := make(map[string]rtnl.LinkData), make(map[int]bool)
	for _, l := range links {
		if _, bridge := l.Link.(*netlink.Bridge); bridge || !own(l.Attrs().Name) {
			here[l.Attrs().Name], ports[l.Attrs().MasterIndex] = l, true
		}
	}
	return func(name string) bool {
		l, there := here[name]
		_, bridge := l.Link.(*netlink.Bridge)
		return there && (!bridge || ports[l.Attrs().Index])
	}, nil
}

// Verify looks whether the link is a segment still.
func (i Isolation) Verify(ctx context.Context, s *site.Site) error {
	if i.open() {
		return nil
	}
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
