package step

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/space"
)

// A program that opens a tap says what its frames are like, and with that the link differs from how it was made: no drift.
func TestTapOpened(t *testing.T) {
	onHost(t, func(h *host) {
		tap := Lone{Owner: one, IfName: "eth0", Form: Tap{Owner: -1, Group: -1}}
		if !space.Tun() { // an ordinary user on a machine whose udev has not opened it to all
			if err := tap.Form.ready(h.Host); fault.Code(err) != fault.Unsupported {
				t.Errorf("without the device: %v", err)
			}
			return
		}
		h.apply(tap)
		fd := -1
		h.must(h.Container.Do(func() (err error) {
			if fd, err = unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
				return err
			}
			request, err := unix.NewIfreq("eth0")
			if err == nil {
				request.SetUint16(unix.IFF_TAP | unix.IFF_VNET_HDR)
				err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
			}
			return err
		}))
		defer unix.Close(fd)
		h.Container.Forget()
		h.must(tap.Verify(h.ctx, h.Site))
	})
}
