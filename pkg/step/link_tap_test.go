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

// What a tap was made with is read back, each by itself. One that is nobody's in particular is anybody's who may open the device, and one of root's is root's.
func TestTapReadBack(t *testing.T) {
	anybody := Tap{Owner: -1, Group: -1}
	for name, c := range map[string]struct {
		made, wanted Tap
		want         string
	}{
		"any":             {anybody, anybody, ""},
		"root":            {Tap{}, Tap{}, ""},
		"queues":          {Tap{Owner: -1, Group: -1, MultiQueue: true}, Tap{Owner: -1, Group: -1, MultiQueue: true}, ""},
		"a header":        {Tap{Owner: -1, Group: -1, VnetHdr: true}, anybody, ""}, // which each program chooses anew
		"root's is any's": {Tap{Owner: -1}, Tap{}, "owner of eth0: expected 0, found any"},
		"any's is root's": {Tap{Group: -1}, anybody, "owner of eth0: expected any, found 0"},
		"no group":        {Tap{Group: -1}, Tap{}, "group of eth0: expected 0, found any"},
		"a group":         {Tap{}, Tap{Group: -1}, "group of eth0: expected any, found 0"},
		"one queue":       {anybody, Tap{Owner: -1, Group: -1, MultiQueue: true}, "multiQueue of eth0: expected true, found false"},
		"many queues":     {Tap{Owner: -1, Group: -1, MultiQueue: true}, anybody, "multiQueue of eth0: expected false, found true"},
	} {
		t.Run(name, func(t *testing.T) {
			if !space.Tun() {
				return // TestTapOpened says what is then
			}
			onHost(t, func(h *host) {
				tap := Lone{Owner: one, IfName: "eth0", Form: c.made}
				h.apply(tap)
				tap.Form = c.wanted
				if err := tap.Verify(h.ctx, h.Site); c.want == "" {
					h.must(err)
				} else {
					refuses(t, err, fault.Drift, c.want)
				}
			})
		})
	}
}
