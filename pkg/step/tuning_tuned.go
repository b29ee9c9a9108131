package step

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Tuned is the interface and the settings being as they are to be, once a Backup has what was before.
type Tuned struct {
	Tuning
	Expressions Expressions // of AllowList
}

func (t Tuned) String() string { return "tuning of " + t.IfName }

// Mendable says that what others changed is made so again by Apply.
func (t Tuned) Mendable() {}

// Apply changes what is not so yet: settings first, in their order, as the reference does.
func (t Tuned) Apply(_ context.Context, s *site.Site) (bool, error) {
	if t.idle() {
		return false, nil
	}
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	created := false
	for _, want := range t.Sysctls {
		changed, err := t.write(container, want)
		created = created || changed
		if err != nil {
			return created, err
		}
	}
	link, err := t.link(container)
	if err != nil || link == nil {
		return created, err
	}
	for _, change := range t.changes(link) {
		created = true
		if err := container.Conn.Send(change.request); err != nil {
			return true, fault.New(fault.Config, "mend the network's configuration", "link %s: %s: %w", t.IfName, change.name, err)
		}
	}
	return created, nil
}

// write gives a setting its value. Where the kernel reads it in another form, that is written down, so that it is known again.
func (t Tuned) write(container *site.Side, want Sysctl) (bool, error) {
	was, mute, err := reads(container, want.Key)
	if err != nil || !mute && (sameValue(was, want.Value) || t.normal(want) == was) {
		return false, err
	}
	if err := container.WriteSysctl(want.Key, want.Value); err != nil {
		return false, fault.New(fault.Config, "write a value that the kernel takes; is /proc/sys writable for this program?", "sysctl %s: %q: %w", want.Name, want.Value, err)
	}
	is, mute, err := reads(container, want.Key)
	if err != nil || mute || sameValue(is, want.Value) {
		return !mute, err
	}
	f, path, err := t.kept()
	if err != nil || f == nil || f.Find(want.Key) == nil {
		return true, err
	}
	kept := f.Find(want.Key)
	kept.Is, kept.Asked = is, want.Value
	return true, f.Write(path)
}

// normal is the kernel's own form of what is wanted, if that differs.
func (t Tuned) normal(want Sysctl) string {
	if f, _, err := t.kept(); err == nil && f != nil {
		if kept := f.Find(want.Key); kept != nil && kept.Asked == want.Value {
			return kept.Is
		}
	}
	return want.Value
}

// linkChange is a request to change one attribute of a link.
type linkChange struct {
	name    string
	request *nl.NetlinkRequest
}

// changes are what the link lacks, in the reference's order.
func (t Tuned) changes(link netlink.Link) (list []linkChange) {
	add := func(is bool, name string, request *nl.NetlinkRequest) {
		if !is {
			list = append(list, linkChange{name, request})
		}
	}
	if t.MAC != nil {
		add(sameMAC("", t.MAC, link) == nil, "mac "+t.MAC.String(), rtnl.SetMAC(t.IfName, t.MAC))
	}
	if t.Promisc {
		add(owned(link, unix.IFF_PROMISC), "promisc", rtnl.SetPromisc(t.IfName, true))
	}
	if t.MTU != 0 {
		add(link.Attrs().MTU == t.MTU, fmt.Sprint("mtu ", t.MTU), rtnl.SetMTU(t.IfName, t.MTU))
	}
	if t.AllMulti != "" {
		add(owned(link, unix.IFF_ALLMULTI) == (t.AllMulti == "on"), "allmulti "+t.AllMulti, rtnl.SetAllMulti(t.IfName, t.AllMulti == "on"))
	}
	if t.TxQLen != "" {
		add(link.Attrs().TxQLen == number(t.TxQLen), "txQLen "+t.TxQLen, rtnl.SetTxQLen(t.IfName, number(t.TxQLen)))
	}
	return list
}

// Undo gives back what the backup has.
func (t Tuned) Undo(_ context.Context, s *site.Site) error { return t.giveBack(s) }

// Verify compares values as values. Nothing is wanted of what was not asked for.
func (t Tuned) Verify(_ context.Context, s *site.Site) error {
	if t.idle() {
		return nil
	}
	container, err := inside(s)
	if err != nil {
		return err
	}
	var errs []error
	for _, want := range t.Sysctls {
		errs = append(errs, want.verify(container, func(is string) bool { return is == t.normal(want) }))
	}
	link, err := t.link(container)
	if err != nil || link == nil {
		return fault.Join(append(errs, err)...)
	}
	for _, change := range t.changes(link) {
		errs = append(errs, drift("link "+t.IfName, change.name, t.found(link)))
	}
	return fault.Join(errs...)
}

// found is what there is of a link that can be changed.
func (t Tuned) found(link netlink.Link) string {
	a := link.Attrs()
	return fmt.Sprintf("mac %s mtu %d promisc %t allmulti %t txQLen %d", a.HardwareAddr, a.MTU, owned(link, unix.IFF_PROMISC), owned(link, unix.IFF_ALLMULTI), a.TxQLen)
}
