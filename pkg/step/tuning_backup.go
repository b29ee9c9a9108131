package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/backup"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Backup is the file that says what was before a Tuned.
type Backup struct {
	Tuning
	Linked bool // the link that has the owner's name carries the attachment
	Rest   bool // as a Claim's: what is torn is told by who has it in his list
}

func (b Backup) String() string {
	name := b.IfName
	if b.Rest { // no configuration names it
		_, _, name, _ = b.Owner.Names()
	}
	if name == "" {
		return "backups"
	}
	return "backup of " + name
}

// Apply writes down what is to be changed. What is written down already stays, since it may have been changed by now; that of another namespace is of
// another life of the container.
func (b Backup) Apply(_ context.Context, s *site.Site) (bool, error) {
	if b.idle() {
		return false, nil
	}
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	f, path, err := b.begun(s, container)
	if err != nil {
		return false, err
	}
	link, err := b.link(container)
	if err != nil {
		return false, err
	}
	more := b.saveLink(f, link)
	for _, want := range b.Sysctls {
		value, mute, err := reads(container, want.Key)
		if err != nil {
			return false, err
		}
		if !mute && f.Find(want.Key) == nil {
			f.Sysctl = append(f.Sysctl, backup.Sysctl{Key: want.Key, Was: value, Is: want.Value})
			more = true
		}
	}
	if !more {
		return false, nil
	}
	backup.Remember(b.Dir, f.Network)
	return true, f.Write(path)
}

// begun returns the backup that is to be completed.
func (b Backup) begun(s *site.Site, container *site.Side) (*backup.File, string, error) {
	number, err := netns.NumberOf(container.NS)
	if err != nil {
		return nil, "", err
	}
	f, path, err := b.kept()
	if errors.Is(err, backup.ErrTorn) {
		s.Logf("%s: written anew: %v", b, err)
		f, err = nil, nil
	}
	if err != nil {
		return nil, "", err
	}
	if f == nil || f.Netns != 0 && f.Netns != number {
		f = new(backup.File)
	}
	f.Network, f.ContainerID, f.IfName, _ = b.Owner.Names()
	f.Netns, f.Linked = number, b.Linked
	return f, path, nil
}

// saveLink writes down the attributes that are to be changed, and says whether any was not.
func (b Backup) saveLink(f *backup.File, link netlink.Link) (more bool) {
	if b.MAC != nil && f.MAC == "" {
		f.MAC, more = link.Attrs().HardwareAddr.String(), true
	}
	if b.Promisc && f.Promisc == nil {
		is := owned(link, unix.IFF_PROMISC)
		f.Promisc, more = &is, true
	}
	if b.MTU != 0 && f.MTU == 0 {
		f.MTU, more = link.Attrs().MTU, true
	}
	if b.AllMulti != "" && f.AllMulti == nil {
		is := owned(link, unix.IFF_ALLMULTI)
		f.AllMulti, more = &is, true
	}
	if b.TxQLen != "" && f.TxQLen == nil {
		is := link.Attrs().TxQLen
		f.TxQLen, more = &is, true
	}
	return more
}

// Undo removes the file, wherever it is, once what it has is given back. One that cannot be read is of no use to anybody.
func (b Backup) Undo(_ context.Context, s *site.Site) error {
	errs := []error{b.giveBack(s)}
	for _, path := range b.files() {
		if f, _ := backup.Read(path); f == nil || b.owns(f) {
			errs = append(errs, backup.Remove(path))
		}
	}
	return fault.Join(errs...)
}

// Verify wants the file whole, and everything in it that was to be changed.
func (b Backup) Verify(_ context.Context, s *site.Site) error {
	if b.idle() {
		return nil
	}
	container, err := inside(s)
	if err != nil {
		return err
	}
	f, path, err := b.kept()
	if errors.Is(err, backup.ErrTorn) {
		return drift(path, "what was before", err)
	}
	if err != nil {
		return err
	}
	if f == nil && b.readable(container) {
		return drift(path, "what was before", "no such file")
	}
	link, err := b.link(container)
	if err != nil || f == nil {
		return err
	}
	if b.saveLink(f, link) {
		return drift(path, "what was before of all that is changed", "less")
	}
	return b.verifySysctls(f, path, container)
}

// readable says whether anything that is to be changed can be read before: of what cannot there is no file.
func (b Backup) readable(container *site.Side) bool {
	return b.attributes() || slices.ContainsFunc(b.Sysctls, func(want Sysctl) bool {
		_, mute, err := reads(container, want.Key)
		return !mute || err != nil
	})
}

// verifySysctls looks whether each setting is in a file of ours. The reference writes down none.
func (b Backup) verifySysctls(f *backup.File, path string, container *site.Side) error {
	if _, ours := f.Owner(); !ours {
		return nil
	}
	for _, want := range b.Sysctls {
		_, mute, err := reads(container, want.Key)
		if err == nil && !mute && f.Find(want.Key) == nil {
			err = drift(path, "what "+want.Key+" was", "nothing")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Excused is what the reference made, which writes down no sysctls.
func (b Backup) Excused(context.Context, *site.Site) bool {
	f, _, err := b.kept()
	return f == nil && err == nil && !b.attributes() && !b.Linked
}

// Owners lists whose backups the network has. Those of the reference do not say.
func (b Backup) Owners(_ context.Context, s *site.Site, network [8]byte) (holders []firewall.Holder, err error) {
	name, _, _, _ := b.Owner.Names()
	for _, dir := range backup.Dirs(name, b.Dir) {
		paths, err := backup.List(dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		for _, path := range paths {
			f, err := backup.Read(path)
			if err != nil || f == nil {
				if err != nil && !b.Rest {
					s.Logf("left as it is: %v", err)
				}
				continue
			}
			o, ours := f.Owner()
			if h := (firewall.Holder{Owner: o, Linked: f.Linked}); ours && o.On(network) && !slices.Contains(holders, h) {
				holders = append(holders, h)
			}
		}
	}
	return holders, nil
}

// number reads what Tuning has as text.
func number(text string) int {
	n, _ := strconv.Atoi(text) // which was parsed
	return n
}

// sameMTU compares that of the owner's interface with what was made, where something is wanted of it and tuning has not changed it since.
func sameMTU(o owner.Owner, name string, want int, link netlink.Link) error {
	if got := link.Attrs().MTU; want != 0 && got != want && !retuned(o) {
		return drift("mtu of "+name, want, got)
	}
	return nil
}

// retuned says whether the plugin tuning has changed the MTU of the owner's interface, by its backup: then it is tuning's to look at.
func retuned(o owner.Owner) bool {
	network, id, ifName, whole := o.Names()
	return whole && slices.ContainsFunc(backup.Dirs(network, ""), func(dir string) bool {
		f, err := backup.Read(backup.Path(dir, id, ifName))
		return err == nil && f != nil && f.MTU != 0
	})
}
