package step

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Lone is a container's interface that is one link, with no other end on the host: it hangs on a parent, or on nothing. Its alias says whose it is. It goes
// with its namespace, and it never changes its parent: a link with the owner's alias hangs on what it was hung on by the ADD, wherever a default route
// leads today.
type Lone struct {
	Owner  owner.Owner
	IfName string
	Form   Form
	Parent Parent           // of a form that hangs on one
	MAC    net.HardwareAddr // nil: the form's or the kernel's choice, and not compared
	MTU    int              // bytes; 0: the parent's or the kernel's choice, and not compared
}

// Form is what kind of link it is, and what is particular to that.
type Form interface {
	kind() string // as the library calls it
	hangs() bool
	// ready says why this kernel can make none.
	ready(host *site.Side) error
	// fits says why it cannot hang on a link, of that side, that another form may hang on.
	fits(side *site.Side, parent netlink.Link) error
	// create makes it, down, by requests to that side.
	create(on *site.Side, l rtnl.Link) error
	// explain makes of the kernel's refusal what is wrong.
	explain(s *site.Site, l Lone, err error) error
	// verify compares what is particular to the form; side is the container's.
	verify(side *site.Side, link netlink.Link) error
}

func (l Lone) String() string { return l.Form.kind() + " " + l.IfName }

// Carries marks what hangs on the link: addresses, routes, its state.
func (l Lone) Carries() {}

// Guard refuses when the name is taken, or the link cannot be made here.
func (l Lone) Guard(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	if link, err := find(container, l.IfName); err != nil || link != nil {
		return fault.Join(err, l.taken(link))
	}
	if link, err := find(s.Host, l.Owner.HostLink()); err != nil || link != nil {
		return fault.Join(err, heldBy(l.Owner, link))
	}
	return l.possible(s)
}

// Ready says whether an ADD can make such a link.
func (l Lone) Ready(_ context.Context, s *site.Site) error { return l.possible(s) }

func (l Lone) possible(s *site.Site) error {
	if err := l.Form.ready(s.Host); err != nil || !l.Form.hangs() || l.Parent.side(s) == nil {
		return err
	}
	parent, err := l.Parent.find(s)
	if err != nil {
		return err
	}
	if l.MTU > parent.Attrs().MTU {
		return fault.New(fault.Config, "lower it, or raise that of the parent", "mtu: %d: is above the %d of %s", l.MTU, parent.Attrs().MTU, parent.Attrs().Name)
	}
	return l.Form.fits(l.Parent.side(s), parent)
}

// taken names the owner of the container's link that has our name; nil for no link.
func (l Lone) taken(link netlink.Link) error {
	if link == nil {
		return nil
	}
	if o, ok := owner.Parse(link.Attrs().Alias); ok {
		return heldBy(o, link)
	}
	return inUse(l.IfName)
}

// inUse says that the container has a link of the name, which is not known to be anybody's.
func inUse(ifName string) error {
	return fault.New(fault.Taken, "delete the attachment that made it, or use another interface name", "interface %s: exists already in the container", ifName)
}

func heldBy(o owner.Owner, link netlink.Link) error {
	return fault.New(fault.Taken, "delete it before you add it again", "attachment %s: exists already, with link %s", o, link.Attrs().Name)
}

// Apply makes the link under the name that follows from the owner, since some kernels want the name free on the host, too, and then gives it name and alias
// at once. What a kill left between the two is made anew.
func (l Lone) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	link, err := find(container, l.IfName)
	if err != nil || link != nil {
		if err == nil && marked(link, l.Owner) {
			return false, nil
		}
		return false, fault.Join(err, l.taken(link))
	}
	if err := l.remove(container, l.Owner.HostLink()); err != nil {
		return false, err
	}
	if err := l.create(s, container); err != nil {
		return false, l.Form.explain(s, l, err)
	}
	return true, l.dress(container)
}

func (l Lone) create(s *site.Site, container *site.Side) error {
	made := rtnl.Link{Name: l.Owner.HostLink(), MAC: l.MAC, MTU: l.MTU, NS: -1}
	if !l.Form.hangs() {
		return l.Form.create(container, made)
	}
	parent, err := l.Parent.find(s)
	if err != nil {
		return err
	}
	made.Parent = parent.Attrs().Index
	if !l.Parent.Inside {
		made.NS = container.NS
	}
	return l.Form.create(l.Parent.side(s), made)
}

// dress gives the link its name and mark.
func (l Lone) dress(container *site.Side) error {
	container.Forget()
	link, err := need(container, l.Owner.HostLink())
	if err != nil {
		return err
	}
	err = container.Conn.Send(rtnl.Dress(link.Attrs().Index, l.IfName, l.Owner.Tag(owner.AliasRoom)))
	if errors.Is(err, unix.EEXIST) {
		err = fault.New(fault.Taken, "use another interface name", "interface %s: exists already in the container", l.IfName)
	}
	if err != nil {
		return fault.Join(err, remove(container, link))
	}
	return nil
}

// Undo removes the link if its alias is the owner's or, without one, if it is of the form: the reference marks none. So it does with what a kill left.
func (l Lone) Undo(_ context.Context, s *site.Site) error {
	if err := unjoin(s, l.Owner); err != nil || s.Container == nil {
		return err
	}
	return fault.Join(l.remove(s.Container, l.IfName), l.remove(s.Container, l.Owner.HostLink()))
}

func (l Lone) remove(container *site.Side, name string) error {
	link, err := find(container, name)
	if err != nil || link == nil {
		return err
	}
	if marked(link, l.Owner) || link.Attrs().Alias == "" && link.Type() == l.Form.kind() {
		return remove(container, link)
	}
	return nil
}

// marked says whether the link is the owner's. The mark of lo says who brought it up, and no more.
func marked(link netlink.Link, o owner.Owner) bool {
	found, ok := owner.Parse(link.Attrs().Alias)
	return ok && found.ID == o.ID && link.Attrs().Flags&net.FlagLoopback == 0
}

// Verify compares the link with what was made. The reference's has no alias.
func (l Lone) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	link, err := need(container, l.IfName)
	switch {
	case err != nil:
		return err
	case link.Type() != l.Form.kind():
		return drift("kind of "+l.IfName, l.Form.kind(), link.Type())
	}
	var errs []error
	if alias := link.Attrs().Alias; alias != "" && !marked(link, l.Owner) {
		errs = append(errs, drift("alias of "+l.IfName, fmt.Sprintf("%q", l.Owner.Tag(owner.AliasRoom)), fmt.Sprintf("%q", alias)))
	}
	if l.Form.hangs() {
		errs = append(errs, l.Parent.verify(s, link))
	}
	return fault.Join(append(errs, sameMTU(l.Owner, l.IfName, l.MTU, link), sameMAC(l.IfName, l.MAC, link), l.Form.verify(container, link))...)
}
