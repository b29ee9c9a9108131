// Package dbus calls methods over the system bus: texts in, and one value out, which is all that is asked of one. godbus does that and much
// more, by half a megabyte of program that each plugin with a packet filter would carry.
//
// The format is that of the D-Bus specification, "Message Protocol" and "Authentication Protocol".
package dbus

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// Socket is where the system bus listens.
const Socket = "/run/dbus/system_bus_socket"

// Conn is a connection to the bus, for one call at a time.
type Conn struct {
	sock   net.Conn
	in     *bufio.Reader
	serial uint32
	kind   byte // of the message that came last
}

// Error is what a service answers in place of a value.
type Error struct{ Name, Text string }

func (e *Error) Error() string { return e.Name + ": " + e.Text }

// Open connects and introduces itself, without a Dialer, which knows how to ask name servers. The connection's time is over with the context's.
func Open(ctx context.Context) (*Conn, error) {
	sock, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: Socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if end, limited := ctx.Deadline(); limited {
		_ = sock.SetDeadline(end) // without one it would be the bus's
	}
	c := &Conn{sock: sock, in: bufio.NewReader(sock)}
	err = c.authenticate()
	if err == nil {
		_, err = c.Call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("system bus: %w", err)
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.sock.Close() }

func (c *Conn) authenticate() error {
	_, err := fmt.Fprintf(c.sock, "\x00AUTH EXTERNAL %s\r\n", hex.EncodeToString([]byte(strconv.Itoa(os.Getuid()))))
	if err != nil {
		return err
	}
	answer, err := c.in.ReadString('\n')
	if err == nil && !strings.HasPrefix(answer, "OK ") {
		err = fmt.Errorf("not let in: %s", strings.TrimSpace(answer))
	}
	if err == nil {
		_, err = io.WriteString(c.sock, "BEGIN\r\n")
	}
	return err
}

// Fields of a header, and types of a message.
const (
	fieldPath, fieldInterface, fieldMember, fieldError, fieldReply, fieldDestination, fieldSignature = 1, 2, 3, 4, 5, 6, 8

	methodCall, methodReturn, failure, signal = 1, 2, 3, 4
)

// Call calls a method with texts, and returns the first value of the answer: a text, a number or a truth value; nil where there is none.
func (c *Conn) Call(service, path, iface, method string, args ...string) (any, error) {
	c.serial++
	var body message
	for _, text := range args {
		body.text(text)
	}
	m := message{'l', methodCall, 0, 1}
	m.number(uint32(len(body)))
	m.number(c.serial)
	var fields message
	fields.field(fieldPath, 'o', path)
	fields.field(fieldInterface, 's', iface)
	fields.field(fieldMember, 's', method)
	fields.field(fieldDestination, 's', service)
	if len(args) > 0 {
		fields.field(fieldSignature, 'g', strings.Repeat("s", len(args)))
	}
	m.number(uint32(len(fields)))
	m = append(m, fields...)
	m.align(8)
	if _, err := c.sock.Write(append(m, body...)); err != nil {
		return nil, err
	}
	for {
		value, mine, err := c.answer()
		if mine || err != nil {
			return value, err
		}
	}
}

// Match asks for the signals that the rule describes (the specification's "Match Rules").
func (c *Conn) Match(rule string) error {
	const bus = "org.freedesktop.DBus"
	_, err := c.Call(bus, "/org/freedesktop/DBus", bus, "AddMatch", rule)
	return err
}

// Signal waits for the next signal that was asked for. What it says is not read.
func (c *Conn) Signal() error {
	for {
		if _, _, err := c.answer(); err != nil || c.kind == signal {
			return err
		}
	}
}

// message is one in the making. What is put into it is aligned to its beginning.
type message []byte

func (m *message) align(n int) {
	for len(*m)%n != 0 {
		*m = append(*m, 0)
	}
}

func (m *message) number(n uint32) {
	m.align(4)
	*m = binary.LittleEndian.AppendUint32(*m, n)
}

func (m *message) text(text string) {
	m.number(uint32(len(text)))
	*m = append(append(*m, text...), 0)
}

func (m *message) field(code, kind byte, text string) {
	m.align(8)
	*m = append(*m, code, 1, kind, 0)
	if kind != 'g' {
		m.text(text)
		return
	}
	*m = append(append(append(*m, byte(len(text))), text...), 0)
}

// longest is what no answer that is waited for comes near.
const longest = 1 << 20

// answer reads a message, and says whether it is that to the last call.
func (c *Conn) answer() (value any, mine bool, err error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return nil, false, err
	}
	c.kind = head[1]
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 'B' {
		order = binary.BigEndian
	}
	size, fields := order.Uint32(head[4:]), order.Uint32(head[12:])
	if size > longest || fields > longest {
		return nil, false, errors.New("a message that is too long")
	}
	rest := make([]byte, int(fields+7)/8*8+int(size))
	if _, err := io.ReadFull(c.in, rest); err != nil {
		return nil, false, err
	}
	r := reader{order: order, data: rest[:fields]}
	reply, name, signature := r.header()
	if reply != c.serial || head[1] != methodReturn && head[1] != failure {
		return nil, false, r.err
	}
	body := reader{order: order, data: rest[len(rest)-int(size):]}
	value = body.value(signature)
	if head[1] == failure {
		text, _ := value.(string) // an error without one has its name
		return nil, true, &Error{name, text}
	}
	return value, true, errors.Join(r.err, body.err)
}
