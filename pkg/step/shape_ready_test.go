package step

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/test/nstest"
)

// What the kernel says of a queue or a filter that it has not is named as such. No kernel has these.
func TestKernelLacks(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		err := netns.Trial(func() error {
			h, err := netlink.NewHandle()
			if err != nil {
				return err
			}
			defer h.Close()
			at := netlink.QdiscAttrs{LinkIndex: 1, Handle: rootHandle, Parent: netlink.HANDLE_ROOT}
			return unsupported("nosuch", h.QdiscAdd(&netlink.GenericQdisc{QdiscType: "nosuch", QdiscAttrs: at}))
		})
		if err == nil || fault.Code(err) != fault.Unsupported || !strings.Contains(err.Error(), "the kernel has no nosuch") {
			t.Errorf("%v", err)
		}
	})
}
