package laws

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// KernelFiltersVLANs says whether bridges of this kernel can (CONFIG_BRIDGE_VLAN_FILTERING). It tries, in the test's own host.
func KernelFiltersVLANs(t testing.TB) bool {
	t.Helper()
	on := true
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, VlanFiltering: &on}
	err := netlink.LinkAdd(bridge)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false
	}
	if err == nil {
		err = netlink.LinkDel(bridge)
	}
	if err != nil {
		t.Fatalf("bridge with vlan_filtering: %v", err)
	}
	return true
}

// Refused takes the place of the laws where the kernel cannot do what the network asks for: the ADD says so, and leaves no trace; STATUS says it before.
func Refused(w *World) error {
	before := w.snapshot()
	_, err := w.add(w.inProcess, w.one)
	var failure *Failure
	if !errors.As(err, &failure) || failure.Code != fault.Unsupported {
		return fmt.Errorf("ADD without the kernel's help: %w, not a failure with code %d", err, fault.Unsupported)
	}
	if w.Speaks("STATUS") {
		if _, err := w.inProcess(call{verb: "STATUS"}); !errors.As(err, &failure) || failure.Code != fault.NoService {
			return fmt.Errorf("STATUS without the kernel's help: %w, not a failure with code %d", err, fault.NoService)
		}
	}
	return w.same(before, "refused ADD")
}
