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

// Addresses are the addresses of a container's interface, and the kernel settings of the interface that go with them. It comes before
// the interface is up, so that nothing from outside (a router advertisement, say) is taken in before it is refused.
type Addresses struct {
	IfName   string
	Addrs    []netip.Prefix // host bits kept
	DAD      bool           // IPv6 duplicate address detection (RFC 4862) before an address is used
	AcceptRA bool           // leave router advertisements and autoconfiguration as they are
	Alone    bool           // nobody else of the subnet is on the link: the kernel makes no route to the subnet (IFA_F_NOPREFIXROUTE)
}

func (a Addresses) String() string { return "addresses on " + a.IfName }

// Inside says that all goes with the link.
func (a Addresses) Inside() {}

func (a Addresses) ipv6() bool {
	return slices.ContainsFunc(a.Addrs, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// Apply adds the addresses.
func (a Addresses) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	if err := a.tune(s); err != nil {
		return false, err
	}
	link, err := need(container, a.IfName)
	if err != nil {
		return false, err
	}
	return addAddrs(container, link.Attrs().Index, a.Addrs, a.flags(), 0)
}

// addAddrs adds the addresses, and says whether any was not there.
func addAddrs(side *site.Side, index int, list []netip.Prefix, flags uint32, proto uint8) (created bool, err error) {
	for _, p := range list {
		err := side.Conn.Send(rtnl.NewAddr(index, p, flags, proto))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return created, addressError(p, err)
		}
		created = created || err == nil
	}
	return created, nil
}

// delAddrs removes the addresses that are there.
func delAddrs(side *site.Side, index int, list []netip.Prefix) error {
	var errs []error
	for _, p := range list {
		if err := side.Conn.Send(rtnl.DelAddr(index, p)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("remove %s: %w", p, err))
		}
	}
	return fault.Join(errs...)
}

func (a Addresses) flags() (flags uint32) {
	if !a.DAD {
		flags |= unix.IFA_F_NODAD
	}
	if a.Alone {
		flags |= unix.IFA_F_NOPREFIXROUTE
	}
	return flags
}

// tune writes the interface's settings, as the reference does, and refuses router advertisements where IPAM gave an IPv6 address. What only makes things
// sooner or better is no reason to fail.
func (a Addresses) tune(s *site.Site) error {
	if len(a.Addrs) == 0 {
		return nil
	}
	container, ipv6 := s.Container, "net/ipv6/conf/"+a.IfName+"/"
	needed := [][2]string{{"net/ipv4/conf/" + a.IfName + "/arp_notify", "1"}}
	if a.DAD {
		needed = append(needed, [2]string{ipv6 + "enhanced_dad", "1"}, [2]string{ipv6 + "accept_dad", "1"})
	} else {
		prefer(s, container, ipv6+"accept_dad", "0")
	}
	if a.ipv6() {
		prefer(s, container, "net/ipv6/conf/lo/disable_ipv6", "0")
		prefer(s, container, ipv6+"keep_addr_on_down", "1")
		needed = append(needed, [2]string{ipv6 + "disable_ipv6", "0"}, [2]string{ipv6 + "ndisc_notify", "1"})
		if !a.AcceptRA {
			needed = append(needed, [2]string{ipv6 + "accept_ra", "0"}, [2]string{ipv6 + "autoconf", "0"})
		}
	}
	for _, kv := range needed { // where the kernel lacks IPv6 and it is needed, adding the address says so
		if err := setIfThere(container, kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

// Undo removes the addresses that are known.
func (a Addresses) Undo(_ context.Context, s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	link, err := find(s.Container, a.IfName)
	if err != nil || link == nil {
		return err
	}
	return delAddrs(s.Container, link.Attrs().Index, a.Addrs)
}

// Verify wants every address; more than those are no drift.
func (a Addresses) Verify(_ context.Context, s *site.Site) error {
	if len(a.Addrs) == 0 {
		return nil
	}
	container, err := inside(s)
	if err != nil {
		return err
	}
	link, err := need(container, a.IfName)
	if err != nil {
		return err
	}
	have, err := container.Conn.Addrs(link.Attrs().Index)
	if err != nil {
		return err
	}
	return missingAddr(a.Addrs, have)
}
