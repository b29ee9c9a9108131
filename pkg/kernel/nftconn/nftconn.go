// Package nftconn is google/nftables on a socket that never waits (package nlsocket). The library's own asks the kernel five times for each
// answer, and starts the runtime's poller for it: a third of the time of a DEL that finds nothing.
//
// The library takes another transport through the hook by which its tests replace the kernel; there is none other.
package nftconn

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nlsocket"
)

// Conn is one connection to the nf_tables of the network namespace in which it was opened.
type Conn struct {
	*nftables.Conn
	sock   *nlsocket.Conn
	tables []*nftables.Table // since Forget
	keeps  bool
	listed bool
}

// Open opens a connection in the calling thread's network namespace, where it stays.
func Open() (*Conn, error) {
	sock, err := nlsocket.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &Conn{sock: sock}
	c.Conn, err = nftables.New(nftables.AsLasting(), nftables.WithTestDial(c.exchange))
	if err != nil {
		sock.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the connection. The kernel first ends what was deleted on it, for a grace period.
func (c *Conn) Close() { c.sock.Close() }

// Namespace returns the cookie of the connection's network namespace (SO_NETNS_COOKIE, Linux 5.14), which no other has until the next boot.
func (c *Conn) Namespace() (uint64, error) { return c.sock.Namespace() }

// Tables lists the tables, since Forget was called as they were when they were first asked for after that. It is for who removes what was made before: a
// table that is not in the list had nothing of it, and one that went meanwhile has nothing any more.
func (c *Conn) Tables() ([]*nftables.Table, error) {
	if c.listed {
		return c.tables, nil
	}
	var err error
	c.tables, err = c.ListTables()
	c.listed = err == nil && c.keeps
	return c.tables, err
}

// Forget makes Tables look once more, and then keep the list.
func (c *Conn) Forget() { c.keeps, c.listed = true, false }

// exchange is the transport: requests go out in one datagram, and all answers come back. Asked for more, there is nothing.
func (c *Conn) exchange(requests []netlink.Message) (answers []netlink.Message, err error) {
	if len(requests) == 0 {
		return nil, io.EOF
	}
	var datagram []byte
	for _, r := range requests {
		datagram = appendMessage(datagram, r)
	}
	c.sock.Room(len(datagram))
	err = c.sock.Exchange(datagram, func(m nlsocket.Message) {
		answers = append(answers, netlink.Message{
			Header: netlink.Header{
				Length: uint32(unix.SizeofNlMsghdr + len(m.Data)), Type: netlink.HeaderType(m.Type), Flags: netlink.HeaderFlags(m.Flags), Sequence: m.Sequence,
			},
			Data: append([]byte(nil), m.Data...),
		})
	})
	switch {
	case err != nil:
		return refused(requests[len(requests)-1], err), nil
	case len(answers) == 0:
		return nil, io.EOF // a transaction that went through has no answer
	}
	return answers, nil
}

// Some asks for a dump on a socket of its own, in the calling thread's network namespace, and ends it when there are more answers than so many: then it says so. An answer is
// to be seen, and not kept.
func Some(request netlink.Message, most int, see func([]byte)) (more bool, err error) {
	sock, err := nlsocket.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer sock.Close()
	request.Header.Flags |= netlink.Request | netlink.Dump
	failed := sock.Exchange(appendMessage(nil, request), func(m nlsocket.Message) {
		switch {
		case m.Type == unix.NLMSG_ERROR && m.Errno() != 0:
			err = m.Errno()
		case m.Type >= unix.NLMSG_MIN_TYPE:
			see(m.Data)
			most--
		}
		if most < 0 {
			more = true
			sock.Close()
		}
	})
	return more, errors.Join(err, failed)
}

// refused tells what became of the socket (closed, no room: EBADF, EMSGSIZE, ENOBUFS) as the kernel tells a refusal. The library takes that for the end of the
// answers; any other error it keeps, and asks for more for ever.
func refused(request netlink.Message, err error) []netlink.Message {
	errno := unix.EBADMSG // what came was no message
	errors.As(err, &errno)
	return []netlink.Message{{
		Header: netlink.Header{Type: netlink.Error, Sequence: request.Header.Sequence},
		Data:   binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))),
	}}
}

// appendMessage appends a message as netlink(7) has it, each at a multiple of four bytes.
func appendMessage(datagram []byte, m netlink.Message) []byte {
	datagram = binary.NativeEndian.AppendUint32(datagram, uint32(unix.SizeofNlMsghdr+len(m.Data)))
	datagram = binary.NativeEndian.AppendUint16(datagram, uint16(m.Header.Type))
	datagram = binary.NativeEndian.AppendUint16(datagram, uint16(m.Header.Flags))
	datagram = binary.NativeEndian.AppendUint32(datagram, m.Header.Sequence)
	datagram = binary.NativeEndian.AppendUint32(datagram, 0) // to the kernel
	datagram = append(datagram, m.Data...)
	return append(datagram, make([]byte, -len(datagram)&3)...)
}
