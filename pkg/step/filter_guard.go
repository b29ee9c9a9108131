package step

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Guard keeps a container from telling its neighbours, or the host, which router to use: router advertisements and redirects that it sends are dropped at
// its port. The rules are constant, and for links of one group; the host's end is in that from its beginning, and nothing has to be removed.
type Guard struct {
	Owner  owner.Owner
	Host   string // the host's end; one that is not named after the owner was made by the reference, and is left as it is
	Bridge string
}

func (g Guard) String() string { return "guard against advertisements of " + g.Host }

// Inside says that all goes with the link.
func (g Guard) Inside() {}

// Mendable says that a flushed packet filter, and a link that was made before there was a guard, are mended by Apply.
func (g Guard) Mendable() {}

func (g Guard) ours() bool { return g.Host == g.Owner.HostLink() }

// Apply makes the rules and puts the link under them. A kernel that has no filter for frames guards nobody, and then the bridge must refuse by
// itself.
func (g Guard) Apply(ctx context.Context, s *site.Site) (bool, error) {
	if !g.ours() {
		return false, nil
	}
	can, err := g.ask(s, func(w firewall.Warden) error { return w.Ward(ctx) })
	if err == nil && !can {
		err = refuseRA(s, g.Bridge, false)
	}
	if err != nil {
		return false, err
	}
	link, err := need(s.Host, g.Host)
	if err != nil || link.Attrs().Group == firewall.Guarded {
		return false, err
	}
	return true, s.Host.Conn.Send(rtnl.SetGroup(link.Attrs().Index, firewall.Guarded))
}

// ask asks the packet filter for its rules against advertisements, and says whether it can have any.
func (g Guard) ask(s *site.Site, ask func(firewall.Warden) error) (can bool, err error) {
	filter, err := s.Filter()
	if err != nil {
		return false, err
	}
	warden, can := filter.(firewall.Warden)
	if can {
		err = ask(warden)
		can = fault.Code(err) != fault.Unsupported || errors.Is(err, unix.EPERM)
	}
	if can {
		return true, err
	}
	s.Logf("%s: not with this kernel: %v", g, err)
	return false, nil
}

// group is that of the host's end of a pair that is made.
func (v Veth) group() uint32 {
	if v.Guarded {
		return firewall.Guarded
	}
	return 0
}

// Undo takes the link from under the rules.
func (g Guard) Undo(_ context.Context, s *site.Site) error {
	link, err := find(s.Host, g.Host)
	if err != nil || link == nil || link.Attrs().Group != firewall.Guarded {
		return err
	}
	return s.Host.Conn.Send(rtnl.SetGroup(link.Attrs().Index, 0))
}

// Verify looks at the rules and at the link.
func (g Guard) Verify(ctx context.Context, s *site.Site) error {
	link, err := find(s.Host, g.Host)
	if err != nil || link == nil || !g.ours() {
		return err // that there is none is said by Veth
	}
	can, err := g.ask(s, func(w firewall.Warden) error { return w.Warded(ctx) })
	if err == nil && !can {
		err = refusesRA(s, g.Bridge, false)
	}
	if link.Attrs().Group != firewall.Guarded {
		err = fault.Join(err, drift("group of "+g.Host, firewall.Guarded, link.Attrs().Group))
	}
	return err
}
