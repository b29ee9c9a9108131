// Package rtnl adds to vishvananda/netlink what a short-lived plugin needs of rtnetlink(7) and the library's handle does not
// give: several requests in one send, reads of one object where the library lists all, and waiting for an event.
package rtnl

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Conn is one rtnetlink socket. It is not for use by several goroutines at once.
type Conn struct {
	sock *nl.NetlinkSocket
	seq  uint32
}

// Open opens a socket in the calling thread's network namespace, where it stays.
func Open() (*Conn, error) {
	sock, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	c := &Conn{sock: sock}
	// Extended acknowledgements carry the kernel's own words; strict checking makes it honour a dump's filter.
	_ = sock.SetExtAck(true)
	_ = unix.SetsockoptInt(sock.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	return c, nil
}

// Close closes the socket.
func (c *Conn) Close() { c.sock.Close() }

// Request begins a request of the given type (RTM_NEWLINK ...) that the kernel acknowledges.
func Request(kind, flags int) *nl.NetlinkRequest {
	return nl.NewNetlinkRequest(kind, flags|unix.NLM_F_ACK)
}

// Send sends the requests in one datagram. The kernel carries them out one after the other before the send returns, so a signal that
// ends the process cannot come between them. An error is that of the first request that failed; later ones were tried all the same.
func (c *Conn) Send(requests ...*nl.NetlinkRequest) error {
	var datagram []byte
	waiting := make(map[uint32]bool, len(requests))
	for _, r := range requests {
		c.seq++
		r.Seq = c.seq
		waiting[r.Seq] = true
		datagram = append(datagram, r.Serialize()...)
	}
	if err := unix.Sendto(c.sock.GetFd(), datagram, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var first error
	for len(waiting) > 0 {
		messages, _, err := c.sock.Receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || !waiting[m.Header.Seq] {
				continue
			}
			delete(waiting, m.Header.Seq)
			if err := acknowledgement(m); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// Read sends one request and returns the bodies of its answers. A dump that was interrupted by a change is asked for again.
func (c *Conn) Read(request *nl.NetlinkRequest) ([][]byte, error) {
	for {
		bodies, err := c.read(request)
		if !errors.Is(err, errInterrupted) {
			return bodies, err
		}
	}
}

var errInterrupted = errors.New("dump interrupted") // NLM_F_DUMP_INTR, netlink(7)

func (c *Conn) read(request *nl.NetlinkRequest) (bodies [][]byte, err error) {
	c.seq++
	request.Seq = c.seq
	request.Flags &^= unix.NLM_F_ACK
	if err := unix.Sendto(c.sock.GetFd(), request.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var interrupted error
	for {
		messages, _, err := c.sock.Receive()
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if m.Header.Flags&unix.NLM_F_DUMP_INTR != 0 {
				interrupted = errInterrupted
			}
			switch {
			case m.Header.Seq != request.Seq:
			case m.Header.Type == unix.NLMSG_DONE:
				return bodies, interrupted
			case m.Header.Type == unix.NLMSG_ERROR:
				return bodies, acknowledgement(m)
			default:
				bodies = append(bodies, m.Data)
				if m.Header.Flags&unix.NLM_F_MULTI == 0 {
					return bodies, nil
				}
			}
		}
	}
}

// acknowledgement returns the error in an NLMSG_ERROR, with the kernel's text where it gave one (struct nlmsgerr, netlink(7)).
func acknowledgement(m syscall.NetlinkMessage) error {
	errno := syscall.Errno(-int32(nl.NativeEndian().Uint32(m.Data)))
	if errno == 0 {
		return nil
	}
	if m.Header.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return errno
	}
	echoed := int(nl.NativeEndian().Uint32(m.Data[4:]))
	if m.Header.Flags&unix.NLM_F_CAPPED != 0 {
		echoed = unix.SizeofNlMsghdr
	}
	start := 4 + (echoed+3)&^3
	if start > len(m.Data) {
		return errno
	}
	attrs, err := nl.ParseRouteAttr(m.Data[start:])
	if err != nil {
		return errno
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w (%s)", errno, text(a.Value))
		}
	}
	return errno
}
