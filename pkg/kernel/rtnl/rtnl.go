// Package rtnl adds to vishvananda/netlink what a short-lived plugin needs of rtnetlink(7) and the library's handle does not
// give: several requests in one send, reads of one object where the library lists all, and waiting for an event.
package rtnl

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nlsocket"
)

// Conn is one rtnetlink socket. It is not for use by several goroutines at once.
type Conn struct {
	sock    *nlsocket.Conn           // nil: not opened yet
	enter   func(func() error) error // where it is to be opened then
	changes int
	spend   func(bytes int) error // nil: what is read has no bound
	over    error                 // the bound was met
}

// Open opens a socket in the calling thread's network namespace, where it stays.
func Open() (*Conn, error) {
	c := &Conn{}
	return c, c.Open()
}

// Later is a connection that is opened by its first request, or by Open, if there is any: enter then calls a function in the namespace where it is to be.
func Later(enter func(func() error) error) *Conn { return &Conn{enter: enter} }

// Open opens the socket in the calling thread's network namespace, unless it is open.
func (c *Conn) Open() error {
	if c.sock != nil {
		return nil
	}
	sock, err := nlsocket.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	// Extended acknowledgements carry the kernel's own words; strict checking makes it honour a dump's filter.
	sock.Set(unix.NETLINK_EXT_ACK)
	sock.Set(unix.NETLINK_GET_STRICT_CHK)
	c.sock = sock
	return nil
}

// ready opens the socket where it is to be, unless it is open.
func (c *Conn) ready() error {
	switch {
	case c.sock != nil:
		return nil
	case c.enter == nil:
		return unix.EBADF // closed before it was opened
	}
	return c.enter(c.Open)
}

// Close closes the socket.
func (c *Conn) Close() {
	if c.sock != nil {
		c.sock.Close()
	}
	c.enter = nil
}

// Bound has spend told of every answer that is read from now on. With its first error reading is over, and so is the connection.
func (c *Conn) Bound(spend func(bytes int) error) { c.spend = spend }

// Request begins a request of the given type (RTM_NEWLINK ...) that the kernel acknowledges.
func Request(kind, flags int) *nl.NetlinkRequest {
	return nl.NewNetlinkRequest(kind, flags|unix.NLM_F_ACK)
}

// LinkChanges counts the requests to change a link that were sent.
func (c *Conn) LinkChanges() int { return c.changes }

// Send sends the requests in one datagram. The kernel carries them out one after the other before the send returns, so a signal that
// ends the process cannot come between them. An error is that of the first request that failed; later ones were tried all the same.
func (c *Conn) Send(requests ...*nl.NetlinkRequest) error {
	if err := c.ready(); err != nil {
		return err
	}
	for _, r := range requests {
		if r.Type >= unix.RTM_NEWLINK && r.Type <= unix.RTM_SETLINK {
			c.changes++
		}
	}
	datagram, waiting := c.datagram(requests)
	var first error
	err := c.sock.Exchange(datagram, func(m nlsocket.Message) {
		if m.Type != unix.NLMSG_ERROR || !waiting[m.Sequence] {
			return
		}
		delete(waiting, m.Sequence)
		if err := acknowledgement(m); err != nil && first == nil {
			first = err
		}
	})
	if err == nil && first == nil && len(waiting) > 0 {
		err = errUnanswered
	}
	return errors.Join(err, first)
}

// datagram numbers the requests, and puts them together.
func (c *Conn) datagram(requests []*nl.NetlinkRequest) (bytes []byte, numbers map[uint32]bool) {
	numbers = make(map[uint32]bool, len(requests))
	for _, r := range requests {
		r.Seq = c.sock.Next()
		numbers[r.Seq] = true
		bytes = append(bytes, r.Serialize()...)
	}
	return bytes, numbers
}

var (
	errInterrupted = errors.New("dump interrupted") // NLM_F_DUMP_INTR, netlink(7)
	errUnanswered  = errors.New("rtnetlink: no answer")
)

// Read sends one request and returns the bodies of its answers. A dump that was interrupted by a change is asked for again.
func (c *Conn) Read(request *nl.NetlinkRequest) ([][]byte, error) {
	for {
		bodies, err := c.read(request)
		if !errors.Is(err, errInterrupted) {
			return bodies, err
		}
	}
}

// read sends the requests in one datagram. Where one is for what is not there (ENODEV), and another fails otherwise, that is the error.
func (c *Conn) read(requests ...*nl.NetlinkRequest) (bodies [][]byte, err error) {
	if c.over != nil {
		return nil, c.over
	}
	if err := c.ready(); err != nil {
		return nil, err
	}
	for _, r := range requests {
		r.Flags &^= unix.NLM_F_ACK
	}
	datagram, asked := c.datagram(requests)
	var said error
	err = c.sock.Exchange(datagram, func(m nlsocket.Message) {
		if m.Flags&unix.NLM_F_DUMP_INTR != 0 {
			said = errInterrupted
		}
		switch {
		case !asked[m.Sequence] || m.Type == unix.NLMSG_DONE || c.over != nil:
		case m.Type == unix.NLMSG_ERROR:
			if said == nil || errors.Is(said, unix.ENODEV) {
				said = acknowledgement(m)
			}
		default:
			bodies = append(bodies, append([]byte(nil), m.Data...))
			c.bear(len(m.Data))
		}
	})
	switch {
	case c.over != nil:
		return nil, c.over
	case err == nil:
		err = said
	}
	return bodies, err
}

// bear takes what was read from the bound. Beyond it the socket is closed, so that the kernel does not go on telling.
func (c *Conn) bear(bytes int) {
	if c.spend == nil {
		return
	}
	if c.over = c.spend(bytes); c.over != nil {
		c.sock.Close()
	}
}

// acknowledgement returns the error in an NLMSG_ERROR, with the kernel's text where it gave one (struct nlmsgerr, netlink(7)).
func acknowledgement(m nlsocket.Message) error {
	errno := m.Errno()
	if errno == 0 {
		return nil
	}
	if m.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return errno
	}
	echoed := int(nl.NativeEndian().Uint32(m.Data[4:]))
	if m.Flags&unix.NLM_F_CAPPED != 0 {
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
