package step

import (
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

// HostEnd is the host's end of a pair that is no port of anything: it has the container's gateways as addresses of its own, each alone in its subnet, and
// the host's routes to the container's addresses lead to it. Many such links may have the same gateway.
type HostEnd struct {
	Link     string
	Gateways []netip.Addr
	Addrs    []netip.Addr // the container's
	RPFilter string       // how sources of what comes in are judged: the value of rp_filter; empty: as the kernel does
}

func (h HostEnd) String() string { return "host's end " + h.Link }

// Inside says that all goes with the link.
func (h HostEnd) Inside() {}

// Mendable says that a route or an address that somebody took away is made again by Apply.
func (h HostEnd) Mendable() {}

func (h HostEnd) gateways() []netip.Prefix {
	list := make([]netip.Prefix, len(h.Gateways))
	for i, a := range h.Gateways {
		list[i] = single(a)
	}
	return list
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// routes are those to the container. An IPv4 one is of scope host, as the reference's: it is no way to send anything on. Where the link has no address, the
// host sends with one of another link, which a way of that scope would not let it.
func (h HostEnd) routes() []Route {
	list, scope := make([]Route, len(h.Addrs)), unix.RT_SCOPE_HOST
	if len(h.Gateways) == 0 {
		scope = unix.RT_SCOPE_LINK
	}
	for i, a := range h.Addrs {
		list[i] = Route{Dst: single(a)}
		if a.Is4() {
			list[i].Scope = scope
		}
	}
	return list
}

// Apply adds what is missing. The link must be up: a route does not lead to one that is down.
func (h HostEnd) Apply(_ context.Context, s *site.Site) (bool, error) {
	if len(h.Addrs) == 0 {
		return false, nil
	}
	link, err := need(s.Host, h.Link)
	if err != nil {
		return false, err
	}
	index, created := link.Attrs().Index, false
	if h.RPFilter != "" {
		if err := set(s.Host, h.judges(), h.RPFilter); err != nil {
			return false, err
		}
	}
	if created, err = addAddrs(s.Host, index, h.gateways(), unix.IFA_F_NODAD, rtnl.Proto); err != nil {
		return created, err
	}
	for _, r := range h.routes() {
		err := s.Host.Conn.Send(rtnl.NewRoute(r.out(index)))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return created, fmt.Errorf("%s: %w", r, err)
		}
		created = created || err == nil
	}
	return created, nil
}

// judges is the setting that RPFilter is of.
func (h HostEnd) judges() string { return "net/ipv4/conf/" + h.Link + "/rp_filter" }

// Undo removes what is known.
func (h HostEnd) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, h.Link)
	if err != nil || link == nil {
		return err
	}
	var errs []error
	for _, r := range h.routes() {
		if err := s.Host.Conn.Send(rtnl.DelRoute(r.out(link.Attrs().Index))); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove %s: %w", r, err))
		}
	}
	return fault.Join(append(errs, delAddrs(s.Host, link.Attrs().Index, h.gateways()))...)
}

// Verify wants the addresses on the link, and that the host's way to the container is by the link: another route to the address may have come in front.
func (h HostEnd) Verify(_ context.Context, s *site.Site) error {
	if len(h.Addrs) == 0 {
		return nil
	}
	link, err := need(s.Host, h.Link)
	if err != nil {
		return err
	}
	have, err := s.Host.Conn.Addrs(link.Attrs().Index)
	if err != nil {
		return err
	}
	errs := []error{missingAddr(h.gateways(), have)}
	if h.RPFilter != "" {
		if is, _, err := s.Host.Sysctl(h.judges()); err != nil || is != h.RPFilter {
			errs = append(errs, err, drift(h.judges(), h.RPFilter, is))
		}
	}
	for _, a := range h.Addrs {
		errs = append(errs, h.verifyPath(s, link.Attrs().Index, a))
	}
	return fault.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}

func (h HostEnd) verifyPath(s *site.Site, index int, to netip.Addr) error {
	path, err := s.Host.Conn.PathTo(to, 0)
	switch {
	case wayless(err):
		return drift("way to "+to.String(), "by "+h.Link, err)
	case err != nil:
		return fmt.Errorf("way to %s: %w", to, err)
	case path.Link != index || path.Via:
		return drift("way to "+to.String(), "by "+h.Link, fmt.Sprintf("link number %d", path.Link))
	}
	return nil
}

// wayless says whether the kernel has answered that there is no way: no route, or one that says so (unreachable, prohibit, blackhole). Any other error is none.
func wayless(err error) bool {
	return slices.ContainsFunc([]error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL}, func(e error) bool { return errors.Is(err, e) })
}
