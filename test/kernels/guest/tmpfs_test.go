//go:build kernels

package guest

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/space"
)

// TestDeathOnTmpfs asks that root's reservations on a tmpfs say who owns them, on a kernel whose tmpfs keeps no attributes of users, too. It is run as the guest's
// root, whose the machine is: in a user namespace, as in nstest, nobody is.
func TestDeathOnTmpfs(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	netns, err := space.Make("tmpfs")
	must(t, err)
	s, err := ipam.Open(t.Context(), dir, "net", true)
	must(t, err)
	must(t, s.Reserve(netip.MustParseAddr("10.1.0.2"), ipam.Attachment{Holder: ipam.Holder{ContainerID: "ctr1", IfName: "eth0"}, Netns: netns}))
	s.Close()
	for _, dead := range []bool{false, true} {
		list, err := ipam.Survey(dir, "net")
		must(t, err)
		if len(list) != 1 || (list[0].Dead != "") != dead {
			t.Errorf("%+v, want one, dead %v", list, dead)
		}
		if !dead {
			must(t, space.Remove(netns))
		}
	}
}

var must = nstest.Must
