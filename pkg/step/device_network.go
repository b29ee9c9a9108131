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
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Network is what the host made of a device: its addresses, and the routes by it.
type Network struct {
	Addrs  []netip.Prefix
	Routes []Route // those on the link before those by gateways; of table main, too, the table's number is there
}

// Network reads what goes along with the device. Of one that is not there nothing does; that it is not, the step that moves it says.
func (d Device) Network() (n Network, err error) {
	s, err := site.Open(site.Options{})
	if err != nil {
		return n, err
	}
	defer s.Close()
	link, err := d.find(s.Host)
	if err != nil {
		return n, nil
	}
	addrs, routes, err := belongings(s.Host, link.Attrs().Index)
	for _, a := range addrs {
		n.Addrs = append(n.Addrs, a.Prefix)
	}
	for _, h := range routes {
		r := Route{Dst: h.Dst, Via: h.Via, Src: h.Src, Priority: h.Metric, Table: h.Table, Scope: int(h.Scope), Kept: h.Kept()}
		r.MTU, r.AdvMSS = h.Metrics()
		n.Routes = append(n.Routes, r)
	}
	return n, err
}

// belongings are the addresses of a link that reach beyond it and were given for good, and the routes by it that do not follow from addresses or advertisements.
func belongings(host *site.Side, index int) (addrs []rtnl.Addr, routes []rtnl.Held, err error) {
	have, err := host.Conn.Addrs(index)
	if err != nil {
		return nil, nil, fmt.Errorf("addresses: %w", err)
	}
	for _, a := range have {
		if a.Scope == unix.RT_SCOPE_UNIVERSE && (a.Addr().Is4() || a.Flags&unix.IFA_F_PERMANENT != 0) {
			addrs = append(addrs, a)
		}
	}
	all, err := host.Conn.Routes()
	if err != nil {
		return nil, nil, fmt.Errorf("routes: %w", err)
	}
	for _, h := range all {
		made := h.Protocol == unix.RTPROT_KERNEL || h.Protocol == unix.RTPROT_RA || h.Table == unix.RT_TABLE_LOCAL
		if h.Link == index && h.Kind == unix.RTN_UNICAST && !made && !h.Dst.Addr().IsLinkLocalUnicast() {
			routes = append(routes, h)
		}
	}
	ranked(routes)
	return addrs, routes, nil
}

// leading are the host's rules that lead from an address of the device to a table in which it has a route.
func leading(host *site.Side, index int) (list []rtnl.Rule, err error) {
	addrs, routes, err := belongings(host, index)
	if err != nil {
		return nil, err
	}
	rules, err := host.Conn.Rules()
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	for _, r := range rules {
		from := slices.ContainsFunc(addrs, func(a rtnl.Addr) bool { return r.From.IsValid() && r.From.Contains(a.Addr()) })
		leads := slices.ContainsFunc(routes, func(h rtnl.Held) bool { return h.Table == r.Table })
		if r.Sourced() && from && leads {
			list = append(list, r)
		}
	}
	return list, err
}

// Along are the rules of the host's that lead to the routes of a lent device, in the container: those that were written down when it was lent.
type Along struct {
	Owner  owner.Owner
	IfName string
}

func (a Along) String() string { return "rules to the routes of " + a.IfName }

// Mendable says that rules may be swept away, and made again.
func (a Along) Mendable() {}

// Apply adds those that are missing.
func (a Along) Apply(_ context.Context, s *site.Site) (created bool, err error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	missing, err := a.missing(container)
	for _, r := range missing {
		if err := send(container.Conn, rtnl.NewRule(r)); err != nil {
			return created, fmt.Errorf("rule %s: %w", r, err)
		}
		created = true
	}
	return created, err
}

func (a Along) rules() ([]rtnl.Rule, error) {
	was, err := lent.Read(a.Owner.ID)
	if errors.Is(err, lent.ErrTorn) || was == nil && err == nil { // the device's own CHECK says the first
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return was.Rules, nil
}

func (a Along) missing(container *site.Side) (list []rtnl.Rule, err error) {
	want, err := a.rules()
	if err != nil || len(want) == 0 {
		return nil, err
	}
	have, err := container.Conn.Rules()
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(want), func(r rtnl.Rule) bool { return slices.Contains(have, r) }), nil
}

// Undo removes them.
func (a Along) Undo(_ context.Context, s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	rules, err := a.rules()
	errs := []error{err}
	for _, r := range rules {
		errs = append(errs, send(s.Container.Conn, rtnl.DelRule(r)))
	}
	return fault.Join(errs...)
}

// Verify wants each.
func (a Along) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	missing, err := a.missing(container)
	errs := []error{err}
	for _, r := range missing {
		errs = append(errs, drift("", "rule "+r.String(), "none"))
	}
	return fault.Join(errs...)
}
