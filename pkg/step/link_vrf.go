package step

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// VRF is a container's interface being a port of a VRF: a link of the container that stands for a routing table, by which its ports send, and they alone. Its
// routes go with it. The VRF is shared by the container's interfaces, and goes with the last of them.
type VRF struct {
	IfName string
	Name   string // empty: the one that the interface is a port of, which a DEL leaves
	Table  uint32 // 0: that of the VRF, and for a new one the first that nobody uses
}

const kindVRF = "vrf"

func (v VRF) String() string { return "vrf of " + v.IfName }

// Mendable says that an interface may be taken out of it, and put back with the routes that it has then.
func (v VRF) Mendable() {}

// Ready says whether this kernel has any.
func (v VRF) Ready(_ context.Context, s *site.Site) error { return makes(s.Host, kindVRF, kindVRF) }

// Guard refuses what Apply would, before anything is made.
func (v VRF) Guard(ctx context.Context, s *site.Site) error {
	container, err := inside(s)
	if err == nil {
		err = v.Ready(ctx, s)
	}
	if err != nil {
		return err
	}
	at, err := v.look(container)
	if err == nil {
		err = at.hindered()
	}
	return err
}

// routing is what a container has of the VRF, seen at once.
type routing struct {
	VRF
	side   *site.Side
	link   netlink.Link // the interface; nil: it is gone
	master netlink.Link // what that is a port of; nil: nothing
	named  netlink.Link // that has the VRF's name; nil: none
}

func (v VRF) look(container *site.Side) (at routing, err error) {
	at = routing{VRF: v, side: container}
	if v.Name != "" {
		if at.named, err = find(container, v.Name); err != nil {
			return at, err
		}
	}
	if at.link, err = find(container, v.IfName); err != nil || at.link == nil || at.link.Attrs().MasterIndex == 0 {
		return at, err
	}
	at.master, err = container.LinkByIndex(at.link.Attrs().MasterIndex)
	return at, err
}

// hindered says why the interface cannot be made a port of it.
func (at routing) hindered() error {
	if at.link == nil {
		return absent(at.side, at.IfName)
	}
	if at.named != nil {
		vrf, is := at.named.(*netlink.Vrf)
		switch {
		case !is:
			return fault.New(fault.Config, "use another name", "vrfname: %s: a link of kind %s in the container", at.Name, at.named.Type())
		case at.Table != 0 && vrf.Table != at.Table:
			return fault.New(fault.Config, "leave the table out, or use another VRF", "table: %d: VRF %s has table %d", at.Table, at.Name, vrf.Table)
		}
	}
	if at.master != nil && !at.joined() {
		return fault.New(fault.Taken, "take it off first", "interface %s: a port of %s", at.IfName, at.master.Attrs().Name)
	}
	return nil
}

func (at routing) joined() bool {
	return at.named != nil && at.master != nil && at.named.Attrs().Index == at.master.Attrs().Index
}

// of names what the interface is a port of.
func (at routing) of() string {
	if at.master == nil {
		return "none"
	}
	return at.master.Attrs().Name
}

// Apply makes the VRF if there is none of the name, and the interface its port, with its routes. What fails half-way is put back here, since what the kernel has
// thrown away is known here alone.
func (v VRF) Apply(ctx context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	lock, err := s.LockSandbox(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Unlock()
	at, err := v.look(container)
	if err == nil {
		err = at.hindered()
	}
	if err != nil {
		return false, err
	}
	made := at.named == nil
	if made {
		err = at.create()
	} else if !isUp(at.named) {
		err = container.Conn.Send(rtnl.SetUp(v.Name))
	}
	joined := false
	if err == nil {
		answersForItself(s, container, v.IfName)
		joined, err = at.join(ctx)
	}
	if err != nil && made {
		err = fault.Join(err, at.dissolve(v.Name))
	}
	return joined && err == nil, err
}

// create makes the VRF, up.
func (at *routing) create() error {
	table := at.Table
	if table == 0 {
		var err error
		if table, err = freeTable(at.side); err != nil {
			return err
		}
	}
	err := at.side.Conn.Send(rtnl.NewVRF(at.Name, table), rtnl.SetUp(at.Name))
	if errors.Is(err, unix.EBUSY) {
		return fault.New(fault.Config, "use another", "table: %d: another VRF has it, and net.vrf.strict_mode lets each have its own alone: %w", table, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at.Name, err)
	}
	at.side.Forget()
	at.named, err = need(at.side, at.Name)
	return err
}

// freeTable is the first number of a routing table that no VRF has, no rule leads to and no route is in.
func freeTable(side *site.Side) (uint32, error) {
	taken := map[uint32]bool{unix.RT_TABLE_DEFAULT: true, unix.RT_TABLE_MAIN: true, unix.RT_TABLE_LOCAL: true}
	links, err := side.Conn.Links()
	if err != nil {
		return 0, err
	}
	for _, l := range links {
		if vrf, is := l.Link.(*netlink.Vrf); is {
			taken[vrf.Table] = true
		}
	}
	rules, err := side.Conn.Rules()
	if err != nil {
		return 0, fmt.Errorf("rules: %w", err)
	}
	for _, r := range rules {
		taken[r.Table] = true
	}
	routes, err := side.Conn.Routes()
	if err != nil {
		return 0, fmt.Errorf("routes: %w", err)
	}
	for _, r := range routes {
		taken[r.Table] = true
	}
	free := uint32(1)
	for taken[free] {
		free++
	}
	return free, nil
}

// dissolve removes the VRF of that name if it has no port left.
func (at routing) dissolve(name string) error {
	at.side.Forget()
	link, err := find(at.side, name)
	if err != nil || link == nil || link.Type() != kindVRF {
		return err
	}
	all, err := at.side.Conn.Links()
	if err != nil || slices.ContainsFunc(all, func(l rtnl.LinkData) bool { return l.Attrs().MasterIndex == link.Attrs().Index }) {
		return err
	}
	return remove(at.side, link)
}

// Undo takes the interface out of the VRF that it is a port of, whatever the configuration calls it today, with its routes; and removes a VRF that has no port.
func (v VRF) Undo(ctx context.Context, s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	lock, err := s.LockSandbox(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	at, err := v.look(s.Container)
	if err != nil {
		return err
	}
	name := v.Name
	if vrf, is := at.master.(*netlink.Vrf); is {
		name = vrf.Name
		if err := at.leave(ctx, s, vrf.Table); err != nil {
			return err
		}
		answersAsOthers(s, s.Container, v.IfName)
	}
	if name == "" {
		return nil
	}
	return at.dissolve(name)
}

// Verify wants the interface in the VRF, that up, and no route by the interface where others send by it.
func (v VRF) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	at, err := v.look(container)
	switch {
	case err != nil:
		return err
	case at.link == nil:
		return absent(container, v.IfName)
	case !at.joined():
		return drift("master of "+v.IfName, v.Name, at.of())
	}
	var errs []error
	if vrf, is := at.named.(*netlink.Vrf); !is || v.Table != 0 && vrf.Table != v.Table {
		errs = append(errs, drift(v.Name, fmt.Sprintf("VRF with table %d", v.Table), at.named.Type()))
	}
	if !isUp(at.named) {
		errs = append(errs, drift("link "+v.Name, "up", "down"))
	}
	left, err := at.carries(main, 0)
	for _, h := range left.moved {
		errs = append(errs, drift("", "table main without it", heldText(h)))
	}
	return fault.Join(append(errs, err)...)
}
