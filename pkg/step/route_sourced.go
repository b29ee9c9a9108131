package step

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Sourced leads what is sent from each address of a container's interface by a table of its own, into which the interface's routes are moved, so that an
// answer leaves by the interface at which it was asked. A rule leads to the table; its maker (rtnl.Proto) says that it is ours.
type Sourced struct {
	IfName  string
	Sources []Source
	Table   uint32 // one that others fill: rules lead to it, and no route is moved; 0: one of its own for each address
	Hints   bool   // main keeps a way to each subnet, with the address as the source
}

// Source is an address that leads to a table.
type Source struct {
	Addr    netip.Prefix // with the length of its subnet
	Gateway netip.Addr   // the zero Addr: none
	Asked   bool         // for by name: it goes before the default route that there is
}

func (s Source) String() string {
	switch {
	case s.Asked:
		return fmt.Sprintf("%s via %s, asked for", s.Addr, s.Gateway)
	case s.Gateway.IsValid():
		return fmt.Sprintf("%s via %s", s.Addr, s.Gateway)
	}
	return s.Addr.String()
}

func (r Sourced) String() string { return "source routing of " + r.IfName }

// Mendable says that rules may be swept away, and made again.
func (r Sourced) Mendable() {}

// Ready says whether the kernel has rules at all.
func (r Sourced) Ready(_ context.Context, s *site.Site) error {
	_, err := s.Host.Conn.Rules()
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fault.New(fault.Unsupported, "boot one with CONFIG_IP_MULTIPLE_TABLES", "routing by source: not in this kernel: %w", err)
	}
	return err
}

// Apply adds, in the order in which nothing is ever without a way, the rules, the tables' routes and the hints; then it takes the routes out of main.
func (r Sourced) Apply(ctx context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil || len(r.Sources) == 0 {
		return false, err
	}
	lock, err := s.LockSandbox(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Unlock()
	v, err := r.look(container)
	if err == nil && v.index == 0 {
		err = absent(container, r.IfName)
	}
	if err != nil {
		return false, err
	}
	answersForItself(s, container, r.IfName)
	lacks := v.lacks()
	if len(lacks.rules)+len(lacks.routes)+len(lacks.spare) == 0 {
		return false, nil
	}
	return true, lacks.mend(container.Conn)
}

func (l lack) mend(conn *rtnl.Conn) error {
	for _, rule := range l.rules {
		if err := send(conn, rtnl.NewRule(rule)); err != nil {
			return fmt.Errorf("rule %s: %w", rule, err)
		}
	}
	for _, h := range l.routes {
		if err := put(conn, h); err != nil {
			return err
		}
	}
	for _, h := range l.spare {
		if err := send(conn, h.Del()); err != nil {
			return fmt.Errorf("move %s: %w", heldText(h), err)
		}
	}
	return nil
}

// put adds the route, without its source where the kernel takes that for nobody's: an IPv6 address that waits for a carrier will be one by itself, and an IPv4 one of a VRF's port is one in
// that one's table alone.
func put(conn *rtnl.Conn, h rtnl.Held) error {
	err := send(conn, h.Add())
	if errors.Is(err, unix.EINVAL) && h.Src.IsValid() {
		h.Src = netip.Addr{}
		err = send(conn, h.Add())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", heldText(h), err)
	}
	return nil
}

// send sends the request. What is there already, or is gone already, is as it is to be.
func send(conn *rtnl.Conn, request *nl.NetlinkRequest) error {
	err := conn.Send(request)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// Verify wants for each address its rule, in its table all that leads out by the interface, and nothing of that in main.
func (r Sourced) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil || len(r.Sources) == 0 {
		return err
	}
	v, err := r.look(container)
	if err == nil && v.index == 0 {
		err = absent(container, r.IfName)
	}
	if err != nil {
		return err
	}
	lacks := v.lacks()
	var errs []error
	for _, rule := range lacks.rules {
		errs = append(errs, drift("rule from "+rule.From.Addr().String(), "one that leads to a table of its own", "none"))
	}
	for _, h := range lacks.routes {
		errs = append(errs, drift("", heldText(h), "none"))
	}
	for _, h := range lacks.spare {
		errs = append(errs, drift("", "table main without it", heldText(h)))
	}
	return fault.Join(errs...)
}

// Undo puts the routes back into main, and takes away the rules of the interface's addresses, and of those that no interface has any more.
func (r Sourced) Undo(ctx context.Context, s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	lock, err := s.LockSandbox(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	v, err := r.look(s.Container)
	if errors.Is(err, unix.EOPNOTSUPP) { // there never were any
		return nil
	}
	if err == nil {
		v.routes, err = s.Container.Conn.Weighed(v.routes, v.index, main)
	}
	if err != nil {
		return err
	}
	ranked(v.routes)
	var errs []error
	for _, request := range v.back() {
		err := send(s.Container.Conn, request)
		if err != nil && request.Type == unix.RTM_NEWROUTE { // its address is gone, or the link is down: nobody misses it
			s.Logf("%s: a route cannot be put back: %v", r, err)
			err = nil
		}
		errs = append(errs, err)
	}
	if v.index != 0 {
		answersAsOthers(s, s.Container, r.IfName)
	}
	return fault.Join(errs...)
}

func heldText(h rtnl.Held) string {
	text := fmt.Sprintf("%s in table %d", h.Dst, h.Table)
	if h.Via.IsValid() {
		text = fmt.Sprintf("%s via %s in table %d", h.Dst, h.Via, h.Table)
	}
	return text
}

// back are the requests that undo all of it. What others put into our tables goes back as well: it was moved there.
func (v sourcing) back() (list []*nl.NetlinkRequest) {
	for _, h := range v.routes {
		if h.Table == main && h.Link == v.index && h.Protocol == rtnl.Proto {
			list = append(list, h.Del())
		}
	}
	for _, rule := range v.rules {
		if !v.undoes(rule) {
			continue
		}
		for _, h := range v.routes {
			if filled(rule) && h.Table == rule.Table && h.Link == v.index {
				list = append(list, v.giveBack(h)...)
			}
		}
		list = append(list, rtnl.DelRule(rule))
	}
	return list
}

// giveBack moves a route back into main, unless it is ours, or there already: a link that has left a VRF has its routes to subnets there, made anew.
func (v sourcing) giveBack(h rtnl.Held) []*nl.NetlinkRequest {
	before := h
	before.Table, before.Metric = main, h.Metric&^lastResort
	if h.Protocol == rtnl.Proto || slices.ContainsFunc(v.routes, func(o rtnl.Held) bool { return o.Table == main && o.Leads(before) }) {
		return []*nl.NetlinkRequest{h.Del()}
	}
	return []*nl.NetlinkRequest{before.Add(), h.Del()}
}

// undoes says whether the rule is the interface's: of ours, whatever the configuration says today, and of the reference's of this one.
func (v sourcing) undoes(r rtnl.Rule) bool {
	ours := r.Plain() && (filled(r) || r.Maker == rtnl.ProtoLed)
	if !ours && !v.leads(r) {
		return false
	}
	held := func(list []rtnl.Addr) bool {
		return slices.ContainsFunc(list, func(a rtnl.Addr) bool { return a.Addr() == r.From.Addr() })
	}
	if held(v.addrs[v.index]) || slices.ContainsFunc(v.Sources, func(s Source) bool { return s.Addr.Addr() == r.From.Addr() }) {
		return true
	}
	for _, list := range v.addrs {
		if held(list) {
			return false
		}
	}
	return ours
}
