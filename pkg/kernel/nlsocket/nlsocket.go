// Package nlsocket is a netlink(7) socket for a process that lives for milliseconds: a request goes out and its answers come in with three
// system calls and no allocation but the caller's; nothing is polled for and no thread waits.
//
// It can do without waiting because the families that the suite speaks (rtnetlink, nfnetlink) carry a request out, and queue all answers to it,
// before the send returns. So an empty queue is the end of the answers.
package nlsocket

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Conn is one socket. It is not for use by several goroutines at once.
type Conn struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// Message is one answer. Data is valid until the function that got the message returns.
type Message struct {
	Type, Flags uint16
	Sequence    uint32
	Data        []byte
}

// room is how much one receive takes, in bytes: the most that the kernel puts into one datagram of a dump (netlink_dump in
// net/netlink/af_netlink.c).
const room = 32 << 10

// Open opens a socket of the protocol (NETLINK_ROUTE ...) in the calling thread's network namespace, where it stays.
func Open(protocol int) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, err
	}
	return &Conn{fd: fd, buffer: make([]byte, room)}, nil
}

// Close closes the socket; a second call does nothing.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
	c.fd = -1
}

// Set switches an option of the socket on (NETLINK_EXT_ACK ...), where the kernel knows it.
func (c *Conn) Set(option int) { _ = unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, option, 1) }

// Namespace returns the cookie of the socket's network namespace (SO_NETNS_COOKIE, Linux 5.14), which no other has until the next boot.
func (c *Conn) Namespace() (uint64, error) {
	return unix.GetsockoptUint64(c.fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}

// usual is what every socket can send, in bytes: less than the least of net.core.wmem_default.
const usual = 64 << 10

// Room makes room for a datagram of so many bytes, and for as much that comes back: beyond the system's limits, which the owner of the
// initial user namespace may, or up to them. What is too large after that the kernel refuses with EMSGSIZE.
func (c *Conn) Room(size int) {
	if size <= usual {
		return
	}
	for force, bounded := range map[int]int{unix.SO_SNDBUFFORCE: unix.SO_SNDBUF, unix.SO_RCVBUFFORCE: unix.SO_RCVBUF} {
		if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, force, 2*size) != nil {
			_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, bounded, 2*size)
		}
	}
}

// Next returns the next sequence number. Requests of one datagram need one each.
func (c *Conn) Next() uint32 {
	c.sequence++
	return c.sequence
}

// Exchange sends one datagram and calls each with every answer, in their order. There may be several requests in it, of which only the last
// may be a dump. Who has had enough closes the socket in each: of what is still to come the kernel then makes no more, and it is no error.
func (c *Conn) Exchange(datagram []byte, each func(Message)) error {
	if _, err := unix.Write(c.fd, datagram); err != nil {
		return err
	}
	for {
		n, err := unix.Read(c.fd, c.buffer)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		if err := split(c.buffer[:n], each); err != nil || c.fd < 0 {
			return err
		}
	}
}

// split takes a datagram apart (struct nlmsghdr, linux/netlink.h).
func split(datagram []byte, each func(Message)) error {
	for len(datagram) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(datagram))
		if length < unix.SizeofNlMsghdr || length > len(datagram) {
			return fmt.Errorf("netlink: a message of %d bytes where %d came", length, len(datagram))
		}
		each(Message{
			Type:     binary.NativeEndian.Uint16(datagram[4:]),
			Flags:    binary.NativeEndian.Uint16(datagram[6:]),
			Sequence: binary.NativeEndian.Uint32(datagram[8:]),
			Data:     datagram[unix.SizeofNlMsghdr:length],
		})
		datagram = datagram[min((length+3)&^3, len(datagram)):]
	}
	return nil
}

// Errno returns the error in an answer of the type NLMSG_ERROR; 0 is an acknowledgement.
func (m Message) Errno() unix.Errno {
	if len(m.Data) < 4 {
		return unix.EBADMSG
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
}
