package step

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// DAD is the end of duplicate address detection on a container's interface that has IPv6 addresses: none is tentative any more. One without a carrier asks
// nobody, and has nothing to wait for.
type DAD struct {
	IfName string
	Addrs  []netip.Prefix
}

// dadPatience is the reference's limit. The kernel takes one to two seconds.
const dadPatience = 5 * time.Second

func (d DAD) String() string { return "duplicate address detection on " + d.IfName }

// Inside says that all goes with the link.
func (d DAD) Inside() {}

func (d DAD) idle() bool {
	return !slices.ContainsFunc(d.Addrs, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// Apply waits for the kernel's word on every address.
func (d DAD) Apply(ctx context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil || d.idle() {
		return false, err
	}
	events, err := container.Watch(rtnl.IPv6Addr)
	if err != nil {
		return false, err
	}
	defer events.Close()
	link, err := need(container, d.IfName)
	if err != nil {
		return false, err
	}
	if link.Attrs().RawFlags&unix.IFF_LOWER_UP == 0 {
		s.Logf("%s: %s has no carrier: it begins when there is one", d, d.IfName)
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dadPatience)
	defer cancel()
	return false, events.Await(ctx, func() (bool, error) { return settled(container, link.Attrs().Index) })
}

func settled(side *site.Side, index int) (bool, error) {
	addrs, err := side.Conn.Addrs(index)
	if err != nil {
		return false, err
	}
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_DADFAILED != 0 {
			return false, fault.New(fault.Taken, "who else has it? see ip -6 neigh", "address %s: somebody on the network has it already", a.Prefix)
		}
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return false, nil
		}
	}
	return true, nil
}

// Undo has nothing to do.
func (d DAD) Undo(context.Context, *site.Site) error { return nil }

// Verify reports an address that lost. One that is being tried is on its way: a container of the reference's is, for two seconds, and any whose link
// went down and came up.
func (d DAD) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil || d.idle() {
		return err
	}
	link, err := need(container, d.IfName)
	if err != nil {
		return err
	}
	if _, err := settled(container, link.Attrs().Index); err != nil {
		return drift("addresses of "+d.IfName, "none that somebody else has", err)
	}
	return nil
}
