package nlsocket

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLost says that more events came than there was room for: what they told is to be looked up.
var ErrLost = errors.New("netlink: events were lost")

// Events is a subscription to what the kernel tells by itself. Who waits for it costs nothing until something comes.
type Events struct {
	file   *os.File
	raw    syscall.RawConn
	buffer []byte
}

// backlog is how much may wait to be read, in bytes, where the owner of the initial user namespace asks; others have what the system grants.
const backlog = 8 << 20

// Listen subscribes to groups of the protocol in the calling thread's network namespace, where it stays. Subscribe before you look: what changes after
// the look is then told.
func Listen(protocol int, groups ...int) (*Events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, backlog) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, backlog)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, group := range groups {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	e := &Events{file: os.NewFile(uintptr(fd), "netlink events"), buffer: make([]byte, room)}
	e.raw, err = e.file.SyscallConn()
	return e, err
}

// Close ends the subscription, and with that the Next of another goroutine.
func (e *Events) Close() { e.file.Close() }

// Next waits for the next datagram, and calls each with its messages. Who is told of a loss (ErrLost), and then looks at everything, has missed nothing.
func (e *Events) Next(each func(Message)) error {
	var n int
	var received error
	err := e.raw.Read(func(fd uintptr) bool {
		if n, received = unix.Read(int(fd), e.buffer); errors.Is(received, unix.ENOBUFS) {
			e.drain(int(fd))
		}
		return !errors.Is(received, unix.EAGAIN)
	})
	switch {
	case err != nil:
		return err
	case errors.Is(received, unix.ENOBUFS):
		return ErrLost
	case errors.Is(received, unix.EINTR):
		return nil
	case received != nil:
		return received
	}
	if err := split(e.buffer[:n], each); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return nil
}

// drain throws away what waits. Once the kernel has dropped a datagram it drops all, without another word, until nothing waits (NETLINK_S_CONGESTED in
// net/netlink/af_netlink.c): who looked before that would not be told of what changed after he looked.
func (e *Events) drain(fd int) {
	for err := error(nil); err == nil || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR); {
		_, err = unix.Read(fd, e.buffer)
	}
}

// Pending says whether the next datagram comes within the time.
func (e *Events) Pending(within time.Duration) bool {
	if e.file.SetReadDeadline(time.Now().Add(within)) != nil {
		return false
	}
	defer func() { _ = e.file.SetReadDeadline(time.Time{}) }()
	return e.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK)
		return !errors.Is(err, unix.EAGAIN)
	}) == nil
}
