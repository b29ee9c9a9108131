package step

import (
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// on is the side on which it is done.
func (s Shape) on(at *site.Site) *site.Side {
	if s.Inside {
		return at.Container
	}
	return at.Host
}

// both are the values that Inside can have had at the time of an ADD, as far as there is anything to look at.
func both(at *site.Site) []bool {
	if at.Container == nil {
		return []bool{false}
	}
	return []bool{false, true}
}

// end returns the link at which it is done: the other end of the container's interface, which must be one that the plugins before made, or the interface.
func (s Shape) end(at *site.Site) (netlink.Link, error) {
	container, err := inside(at)
	if err != nil {
		return nil, err
	}
	link, err := need(container, s.IfName)
	if err != nil {
		return nil, err
	}
	if s.Inside {
		return link, nil
	}
	if !rtnl.Paired(link) {
		return nil, fault.New(fault.Unsupported, "take it out of the list, or say shapeInContainer: true", "interface %s: %s: only one end of a pair can be shaped from the host",
			s.IfName, link.Type())
	}
	host, err := at.Host.LinkByIndex(link.Attrs().ParentIndex)
	if absentLink(err) || err == nil && !slices.Contains(s.Hosts, host.Attrs().Name) {
		return nil, fault.New(fault.Config, "put the plugin after the one that makes the interface", "interface %s: its other end is none of the links of prevResult: %v", s.IfName, s.Hosts)
	}
	return host, err
}

// left returns that link for an Undo, which may have no namespace nor result: nil where it is gone.
func (s Shape) left(at *site.Site) (netlink.Link, error) {
	if s.Inside {
		return find(at.Container, s.IfName)
	}
	if at.Container != nil && s.IfName != "" {
		link, err := find(at.Container, s.IfName)
		if err == nil && link != nil && rtnl.Paired(link) {
			host, err := at.Host.LinkByIndex(link.Attrs().ParentIndex)
			if !absentLink(err) {
				return host, err
			}
		}
	}
	return find(at.Host, s.Owner.HostLink())
}

// far is which of a packet's two addresses is not the container's, as offsets in a header of IPv4 and of IPv6.
type far struct{ v4, v6 int32 }

var (
	source      = far{12, 8}
	destination = far{16, 24}
)

// theirs is the address of whoever is not the container: the first as a packet is seen at the other end of its pair, the second at the interface itself.
func (s Shape) theirs(to, from far) far {
	if s.Inside {
		return from
	}
	return to
}
