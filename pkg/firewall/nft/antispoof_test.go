package nft

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// etherType is one for local experiments (IEEE 802), so that nobody else's frames are among ours.
const etherType = 0x88b5

// frames opens a socket for our frames on eth0 of the namespace, and returns the address of eth0 with it.
func frames(t *testing.T, path string) (fd int, mac net.HardwareAddr) {
	t.Helper()
	must(t, enter(path, func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		mac = eth0.HardwareAddr
		const order = etherType>>8 | etherType&0xff<<8
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, order)
		if err != nil {
			return err
		}
		wait := unix.NsecToTimeval(patient.Nanoseconds())
		return errors.Join(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: order, Ifindex: eth0.Index}),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait))
	}))
	t.Cleanup(func() { unix.Close(fd) })
	return fd, mac
}

// TestAntispoof sends a frame under a false address and then one under the true address; the first to arrive tells what passes.
func TestAntispoof(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		from, mac := frames(t, w.one)
		to, _ := frames(t, w.two)
		arrives := func() string {
			t.Helper()
			for _, f := range []struct {
				source net.HardwareAddr
				text   string
			}{{net.HardwareAddr{2, 0xbb, 0, 0, 0, 1}, "false"}, {mac, "true"}} {
				frame := append(append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, f.source...), etherType>>8, etherType&0xff)
				_, err := unix.Write(from, append(frame, f.text+"\x00"...))
				must(t, err)
			}
			return receive(t, to)
		}
		if got := arrives(); got != "false" {
			t.Fatalf("without a claim the frame %q came first", got)
		}
		if got := receive(t, to); got != "true" {
			t.Fatalf("without a claim the frame %q came second", got)
		}
		o := owner.Of("net", "one", "eth0")
		c := firewall.Claim{Role: firewall.Antispoof, Spoof: []firewall.Spoof{{Link: "one", MAC: mac}}}
		w.claim("one", c)
		if got := arrives(); got != "true" {
			t.Errorf("with a claim the frame %q passed", got)
		}
		w.filter.deletes = true // what expires is gone at the next tick; what is deleted, at once
		must(t, w.filter.Drop(t.Context(), o, c))
		if got := arrives(); got != "false" {
			t.Errorf("with the claim dropped the frame %q came first", got)
		}
	})
}

// receive returns the text of the next frame.
func receive(t *testing.T, fd int) string {
	t.Helper()
	buffer := make([]byte, 100)
	n, err := unix.Read(fd, buffer)
	must(t, err)
	text := buffer[14:n]
	for i, c := range text {
		if c == 0 {
			return string(text[:i])
		}
	}
	return string(text)
}
