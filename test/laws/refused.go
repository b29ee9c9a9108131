package laws

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/space"
)

// KernelLacks says whether the kernel cannot make what the network asks for: a bridge that filters VLANs (CONFIG_BRIDGE_VLAN_FILTERING), links of a kind, or
// those of a device that the tests' user may not open. It tries, in the test's own host.
func KernelLacks(t testing.TB, c Chain) bool {
	t.Helper()
	if c.opens() && !space.Tun() {
		return true
	}
	on := true
	var needed []netlink.Link
	if c.filtersVLANs() {
		needed = append(needed, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, VlanFiltering: &on})
	}
	conn, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if slices.ContainsFunc(c.links(), func(kind string) bool { return errors.Is(conn.CanMake(kind), unix.EOPNOTSUPP) }) {
		return true
	}
	return slices.ContainsFunc(needed, func(l netlink.Link) bool { return errors.Is(made(l), unix.EOPNOTSUPP) })
}

// made tries. A kind that the kernel knows may want more than its name, and then it complains about something else.
func made(l netlink.Link) error {
	if err := netlink.LinkAdd(l); err != nil {
		return err
	}
	return netlink.LinkDel(l)
}

// Refused takes the place of the laws where the kernel cannot do what the network asks for: the ADD says so, and leaves no trace; where plugins of the list
// came before the one that refuses, after the DEL that a runtime calls then. That bridges cannot filter is seen without making one, so STATUS says it before.
func Refused(w *World) error {
	before := w.snapshot()
	err := w.refuses()
	var failure *Failure
	if err == nil && w.filtersVLANs() && w.Speaks("STATUS") {
		if _, err := w.inProcess(call{verb: "STATUS"}); !errors.As(err, &failure) || failure.Code != fault.NoService {
			return fmt.Errorf("STATUS without the kernel's help: %w, not a failure with code %d", err, fault.NoService)
		}
	}
	if err != nil || w.filtersVLANs() || len(w.Chain.Plugins) == 1 {
		return errors.Join(err, w.same(before, "refused ADD"))
	}
	if err := w.del(w.inProcess, call{of: w.one}); err != nil { // what stays is what containers share
		return err
	}
	before = w.snapshot()
	if err := errors.Join(w.refuses(), w.del(w.inProcess, call{of: w.one})); err != nil {
		return err
	}
	return w.same(before, "refused ADD, then DEL")
}

func (w *World) refuses() error {
	_, err := w.add(w.inProcess, w.one)
	var failure *Failure
	if !errors.As(err, &failure) || failure.Code != fault.Unsupported {
		return fmt.Errorf("ADD without the kernel's help: %w, not a failure with code %d", err, fault.Unsupported)
	}
	return nil
}
