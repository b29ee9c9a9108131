package step

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/backup"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// giveBack makes all as the backup has it. What cannot be given back is told, and is no reason to keep a container from its end.
func (t Tuning) giveBack(s *site.Site) error {
	if s.Container == nil {
		return nil
	}
	f, path, err := t.kept()
	if err != nil || f == nil {
		if err != nil {
			s.Logf("tuning of %s: not undone: %v", t.IfName, err)
		}
		return nil
	}
	if number, err := netns.NumberOf(s.Container.NS); err != nil || f.Netns != 0 && f.Netns != number {
		return err
	}
	if err := errors.Join(t.restoreLink(s.Container, f), t.restoreSysctls(s.Container, f)); err != nil {
		s.Logf("tuning of %s: not all is as %s has it: %v", t.IfName, path, err)
	}
	return nil
}

func (t Tuning) restoreLink(container *site.Side, f *backup.File) error {
	_, _, ifName, _ := t.Owner.Names()
	link, err := find(container, ifName)
	if err != nil || link == nil {
		return err
	}
	was := Tuned{Tuning: Tuning{IfName: ifName, MTU: f.MTU}}
	var bad error
	if f.MAC != "" {
		was.MAC, bad = net.ParseMAC(f.MAC)
	}
	if f.AllMulti != nil {
		was.AllMulti = map[bool]string{true: "on", false: "off"}[*f.AllMulti]
	}
	if f.TxQLen != nil {
		was.TxQLen = fmt.Sprint(*f.TxQLen)
	}
	list := was.changes(link)
	if f.Promisc != nil && *f.Promisc != owned(link, unix.IFF_PROMISC) {
		list = append(list, linkChange{"promisc", rtnl.SetPromisc(ifName, *f.Promisc)})
	}
	errs := []error{bad}
	for _, change := range slices.Backward(list) {
		if err := container.Conn.Send(change.request); err != nil && !absentLink(err) {
			errs = append(errs, fmt.Errorf("%s: %w", change.name, err))
		}
	}
	return errors.Join(errs...)
}

// restoreSysctls gives the settings back, the last one first. One of the whole namespace that has another value by now is somebody else's.
func (t Tuning) restoreSysctls(container *site.Side, f *backup.File) error {
	_, _, ifName, _ := t.Owner.Names()
	var errs []error
	for _, kept := range slices.Backward(f.Sysctl) {
		is, _, err := reads(container, kept.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went with its interface
		case err != nil:
			errs = append(errs, err)
		case is == kept.Was || ofNamespace(kept.Key, ifName) && !sameValue(is, kept.Is):
		default:
			errs = append(errs, container.WriteSysctl(kept.Key, cmp.Or(kept.Was, "\n"))) // to write nothing has no effect
		}
	}
	return errors.Join(errs...)
}
