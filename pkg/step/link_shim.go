package step

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Shim is the host's own way to a container whose link hangs on one of the host's: the kernel keeps such links and the parent itself apart. So the host has
// a link beside the container's, on the same parent, without an address, and by it a route to each of the container's addresses, from the address that the
// parent has.
type Shim struct {
	Owner  owner.Owner
	Wanted bool // else there is none, and one of an earlier configuration goes
	IfName string
	Addrs  []netip.Addr // the container's
}

func (h Shim) String() string { return "host's way by " + h.Owner.HostLink() }

// Apply makes link and mark in one send, and the routes.
func (h Shim) Apply(_ context.Context, s *site.Site) (bool, error) {
	if !h.Wanted {
		return false, nil
	}
	parent, err := h.parent(s)
	if err != nil {
		return false, err
	}
	link, err := find(s.Host, h.Owner.HostLink())
	if err != nil {
		return false, err
	}
	created := link == nil
	if created {
		if err := h.create(s, parent); err != nil {
			return false, err
		}
		if link, err = need(s.Host, h.Owner.HostLink()); err != nil {
			return true, err
		}
	} else if !marked(link, h.Owner) {
		if link.Attrs().HardwareAddr.String() != h.mac().String() {
			return false, fault.New(fault.Taken, "remove that link", "link %s: exists already, marked %q", link.Attrs().Name, link.Attrs().Alias)
		}
		if err := s.Host.Conn.Send(rtnl.SetAlias(link.Attrs().Name, h.Owner.Tag(owner.AliasRoom))); err != nil { // somebody took the mark off
			return false, err
		}
		created = true
	}
	routed, err := h.route(s, link, parent)
	return created || routed, err
}

// parent is the index of the link that the container's hangs on.
func (h Shim) parent(s *site.Site) (int, error) {
	container, err := inside(s)
	if err != nil {
		return 0, err
	}
	link, err := need(container, h.IfName)
	if err != nil {
		return 0, err
	}
	return link.Attrs().ParentIndex, nil
}

// create makes the link, and has it answer only who is reached by its routes: others of its kind are on the same wire.
func (h Shim) create(s *site.Site, parent int) error {
	name := h.Owner.HostLink()
	bridge := Macvlan{Mode: "bridge"}
	r := bridge.request(rtnl.Link{Name: name, MAC: h.mac(), Parent: parent, NS: -1})
	if err := s.Host.Conn.Send(r, rtnl.SetAlias(name, h.Owner.Tag(owner.AliasRoom))); err != nil {
		return err
	}
	prefer(s, s.Host, "net/ipv6/conf/"+name+"/accept_dad", "0") // nobody else has the address that the kernel makes of ours
	if err := fault.Join(set(s.Host, "net/ipv4/conf/"+name+"/arp_filter", "1"), refuseRA(s, name, false)); err != nil {
		return err
	}
	return s.Host.Conn.Send(rtnl.SetUp(name))
}

// mac follows from the owner, so that what is made again is known to the neighbours: locally administered, unicast (IEEE 802, clause 8).
func (h Shim) mac() net.HardwareAddr {
	key := h.Owner.Key("shim")
	key[0] = key[0]&^1 | 2
	return key[:6]
}

// route adds the routes that are missing.
func (h Shim) route(s *site.Site, link netlink.Link, parent int) (created bool, err error) {
	have, err := s.Host.Conn.Addrs(parent)
	if err != nil {
		return false, err
	}
	for _, a := range h.Addrs {
		r := Route{Dst: single(a), Src: nearest(have, a)}
		err := s.Host.Conn.Send(rtnl.NewRoute(r.out(link.Attrs().Index)))
		if err == nil && a.Is6() && r.Src.IsValid() {
			err = h.answer(s, link, r.Src)
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return created, fmt.Errorf("%s: %w", r, err)
		}
		created = created || err == nil
	}
	return created, nil
}

// answer has the link be found by an IPv6 address of the host's: unlike ARP, neighbour discovery answers only for addresses of the link itself, or for others
// where the link forwards. That all links of the host do so is another setting, and stays what it is.
func (h Shim) answer(s *site.Site, link netlink.Link, own netip.Addr) error {
	conf := "net/ipv6/conf/" + link.Attrs().Name
	err := fault.Join(set(s.Host, conf+"/forwarding", "1"), set(s.Host, conf+"/proxy_ndp", "1"),
		set(s.Host, "net/ipv6/neigh/"+link.Attrs().Name+"/proxy_delay", "0"))
	if err == nil {
		err = s.Host.Conn.Send(rtnl.NewProxy(link.Attrs().Index, own))
	}
	return err
}

// nearest is the address by which the host speaks to another: one of its subnet, or else the first that is more than the link's.
func nearest(have []rtnl.Addr, to netip.Addr) (best netip.Addr) {
	for _, a := range have {
		switch own := a.Addr(); {
		case own.Is4() != to.Is4() || own.IsLinkLocalUnicast():
		case a.Contains(to):
			return own
		case !best.IsValid():
			best = own
		}
	}
	return best
}

// Undo removes the link, and the routes with it.
func (h Shim) Undo(_ context.Context, s *site.Site) error {
	return unjoin(s, h.Owner)
}

// Verify wants the link on its parent, and the host's way to the container by it.
func (h Shim) Verify(_ context.Context, s *site.Site) error {
	if !h.Wanted {
		return nil
	}
	parent, err := h.parent(s)
	if err != nil {
		return err
	}
	link, err := need(s.Host, h.Owner.HostLink())
	if err != nil {
		return err
	}
	var errs []error
	if a := link.Attrs(); link.Type() != "macvlan" || a.ParentIndex != parent {
		errs = append(errs, drift("parent of "+a.Name, fmt.Sprintf("link number %d, as that of the container's", parent), fmt.Sprintf("%s on %d", link.Type(), a.ParentIndex)))
	}
	if !marked(link, h.Owner) {
		errs = append(errs, drift("alias of "+link.Attrs().Name, h.Owner.Tag(owner.AliasRoom), link.Attrs().Alias))
	}
	if !isUp(link) {
		errs = append(errs, drift("link "+link.Attrs().Name, "up", "down"))
	}
	for _, a := range h.Addrs {
		errs = append(errs, HostEnd{Link: link.Attrs().Name}.verifyPath(s, link.Attrs().Index, a))
	}
	return fault.Join(errs...)
}

// Mendable says that the routes may be made again: a route goes when the address that it is from goes.
func (h Shim) Mendable() {}
