package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestBegunInTheGap sends while the rules are away: who sends again when they are back is led as if nothing had been, from the same socket.
func TestBegunInTheGap(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := settle(t, 1, "udp")
		s.serve("c0", "udp", ":7")
		s.serve(outsider, "udp", ":7")
		s.serve(outsider, "tcp", ":7")
		w := s.watch()
		w.says("the plugins have looked")
		release := s.busy("c0") // so that the gap is as long as the test wants it
		sweep(t)
		w.says("made again: table inet trestle")
		begun := map[string]net.Conn{
			"to a published port": s.sends(outsider, "192.0.2.1:20000"),
			"masqueraded":         s.sends("c0", "192.0.2.2:7"),
		}
		connection := s.connects("c0", netip.MustParseAddrPort("192.0.2.2:7"))
		release()
		w.says("when the verb that was at work had ended")
		for what, conn := range begun {
			if !answered(conn) {
				t.Errorf("a flow %s that began in the gap is never answered", what)
			}
		}
		if err := connection(); err != nil {
			t.Errorf("a connection that began in the gap: %v", err)
		}
	})
}

// sends sends a datagram by a socket of the container's.
func (s *settled) sends(container, to string) (conn net.Conn) {
	s.Helper()
	must(s.T, in(container, func() (err error) {
		if conn, err = net.Dial("udp", to); err == nil {
			_, err = conn.Write([]byte("?"))
		}
		return err
	}))
	s.Cleanup(func() { conn.Close() })
	return conn
}

// answered says whether a datagram of the socket is answered. What is known of an earlier one, which nobody took, comes as an error first.
func answered(conn net.Conn) bool {
	for range 3 {
		_, _ = conn.Write([]byte("?"))
		_ = conn.SetReadDeadline(time.Now().Add(slack.Of(time.Second)))
		if _, err := conn.Read(make([]byte, 100)); err == nil {
			return true
		}
	}
	return false
}

// connects begins a connection: its first packet has gone when it returns. Its end is waited for by what it returns.
func (s *settled) connects(container string, to netip.AddrPort) (end func() error) {
	s.Helper()
	var fd int
	must(s.T, in(container, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		}
		if errors.Is(err, unix.EINPROGRESS) {
			return nil
		}
		return fmt.Errorf("a connection at once: %w", err)
	}))
	s.Cleanup(func() { unix.Close(fd) })
	return func() error {
		patience := slack.Of(10 * time.Second) // the first packet is sent again after a second, and then after two more
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(patience.Milliseconds())); n == 0 || err != nil {
			return fmt.Errorf("after %s: %w", patience, cmp.Or(err, os.ErrDeadlineExceeded))
		}
		code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		return err
	}
}

// busy has somebody at work on the container until it is released.
func (s *settled) busy(container string) (release func()) {
	s.Helper()
	file, err := filelock.Open(filepath.Join("/run/cni/trestle", owner.Locks))
	must(s.T, err)
	must(s.T, filelock.Part(file, owner.Of("net", container, "eth0").Place(), true))
	return func() { file.Close() }
}
