package nlsocket

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// request makes a message of the type with a family and nothing else in it.
func request(kind, flags uint16, sequence uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, unix.SizeofNlMsghdr+unix.SizeofRtGenmsg+3)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	return append(b, make([]byte, 8)...)
}

// Two requests in one datagram, the second a dump of several datagrams: all answers come, in order, and then there are none left.
func TestExchange(t *testing.T) {
	c, err := Open(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		wrong, dump := c.Next(), c.Next()
		refused, links, done := 0, 0, 0
		err := c.Exchange(append(request(unix.RTM_BASE+99, unix.NLM_F_ACK, wrong), request(unix.RTM_GETLINK, unix.NLM_F_DUMP, dump)...), func(m Message) {
			switch {
			case m.Sequence == wrong && m.Type == unix.NLMSG_ERROR && (m.Errno() == unix.EOPNOTSUPP || m.Errno() == unix.EPERM) && links == 0:
				// who is not root is refused before the kernel looks what it was
				refused++
			case m.Sequence == dump && m.Type == unix.NLMSG_DONE:
				done++
			case m.Sequence == dump && m.Type == unix.RTM_NEWLINK:
				links++
			default:
				t.Errorf("unexpected %+v", m)
			}
		})
		if err != nil || refused != 1 || links < 1 || done != 1 {
			t.Errorf("%v: %d refused, %d links, %d ends", err, refused, links, done)
		}
	}
	c.Close()
	c.Close()
	if err := c.Exchange(request(unix.RTM_GETLINK, 0, c.Next()), func(Message) {}); !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %v", err)
	}
}

// Who closes the socket after the first of two answers, each a datagram, gets neither the second nor an error.
func TestEnough(t *testing.T) {
	c, err := Open(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wrong, answers := c.Next(), 0
	err = c.Exchange(append(request(unix.RTM_BASE+99, unix.NLM_F_ACK, wrong), request(unix.RTM_GETLINK, unix.NLM_F_DUMP, c.Next())...), func(m Message) {
		if answers++; m.Sequence != wrong {
			t.Errorf("unexpected %+v", m)
		}
		c.Close()
	})
	if err != nil || answers != 1 {
		t.Errorf("%v: %d answers", err, answers)
	}
}

// What is no whole message is an error, and what came before it was taken.
func TestSplit(t *testing.T) {
	whole := request(unix.RTM_GETLINK, 0, 1)
	for name, c := range map[string]struct {
		data  []byte
		count int
		fails bool
	}{
		"none":      {nil, 0, false},
		"one":       {whole, 1, false},
		"two":       {append(whole[:len(whole):len(whole)], whole...), 2, false},
		"unaligned": {binary.NativeEndian.AppendUint32(nil, 17)[:4:4], 0, false},
		"torn":      {append(whole[:len(whole):len(whole)], whole[:18]...), 1, true},
		"short":     {append([]byte{15, 0, 0, 0}, make([]byte, 12)...), 0, true},
		"zero":      {make([]byte, 16), 0, true},
	} {
		count := 0
		if err := split(c.data, func(Message) { count++ }); count != c.count || (err != nil) != c.fails {
			t.Errorf("%s: %d messages, %v", name, count, err)
		}
	}
	if errno := (Message{Data: []byte{1}}).Errno(); errno != unix.EBADMSG {
		t.Errorf("an error of one byte: %v", errno)
	}
}
