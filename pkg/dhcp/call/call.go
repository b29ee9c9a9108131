// Package call speaks the wire of net/rpc over HTTP, by which the reference's plugin dhcp talks to its daemon: a line CONNECT, and then for each call
// two gob values that way and two back. Package net/rpc itself brings net/http, which would double what a node downloads.
package call

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	hello   = "CONNECT /_goRPC_ HTTP/1.0\n\n"
	welcome = "HTTP/1.0 200 Connected to Go RPC"
)

// Args is what a call takes: the six texts and bytes of a plugin's call, as the reference's skeleton has them.
type Args struct {
	ContainerID, Netns, IfName, Args, Path, NetnsOverride string
	StdinData                                             []byte
}

// Nothing is the reply of a call that has none.
type Nothing struct{}

// request and response are net/rpc's: what a value is called is not on the wire, what its members are called is.
type request struct {
	ServiceMethod string
	Seq           uint64
}

type response struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// Refused is an error of the other end, in its words.
type Refused string

func (r Refused) Error() string { return string(r) }

// Unknown says whether the other end has no such method.
func (r Refused) Unknown() bool { return strings.HasPrefix(string(r), "rpc: can't find") }

// Do calls a method at the socket, and fills in the reply, a pointer. What the reply had and the other end does not tell stays.
func Do(ctx context.Context, socket, method string, args Args, reply any) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := do(conn, method, args, reply); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

func do(conn io.ReadWriter, method string, args Args, reply any) error {
	if _, err := io.WriteString(conn, hello); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	line, err := head(in)
	if err != nil || line != welcome {
		return fmt.Errorf("%.100q in answer to CONNECT: %w", line, errors.Join(err, errors.ErrUnsupported))
	}
	encoder := gob.NewEncoder(conn)
	if err := errors.Join(encoder.Encode(request{ServiceMethod: method}), encoder.Encode(args)); err != nil {
		return err
	}
	decoder := gob.NewDecoder(in)
	var r response
	if err := decoder.Decode(&r); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if r.Error != "" {
		return Refused(r.Error)
	}
	return decoder.Decode(reply)
}

// mostLines is more than anybody has to say before the first call.
const mostLines = 50

// head reads the first line, and all others up to an empty one.
func head(in *bufio.Reader) (first string, err error) {
	for n := range mostLines {
		line, err := in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); err != nil || line == "" {
			return first, err
		}
		if n == 0 {
			first = line
		}
	}
	return first, errors.New("no end of it")
}

// Method answers a call. Its context ends when the caller has gone.
type Method func(context.Context, Args) (reply any, err error)

// Serve answers the calls of one connection, one after the other, until it ends.
func Serve(ctx context.Context, conn net.Conn, methods map[string]Method) error {
	in := bufio.NewReader(conn)
	line, err := head(in)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "CONNECT ") {
		_, err := io.WriteString(conn, "HTTP/1.0 405 Method Not Allowed\n\n")
		return err
	}
	if _, err := io.WriteString(conn, welcome+"\n\n"); err != nil {
		return err
	}
	encoder, decoder := gob.NewEncoder(conn), gob.NewDecoder(in)
	for {
		var r request
		var args Args
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := decoder.Decode(&args); err != nil {
			return err
		}
		answer, reply := r.answer(ctx, args, methods, func(leave func()) (stop func()) { return watch(conn, in, leave) })
		if err := errors.Join(encoder.Encode(answer), encoder.Encode(reply)); err != nil {
			return err
		}
	}
}

func (r request) answer(ctx context.Context, args Args, methods map[string]Method, watch func(func()) func()) (response, any) {
	answer := response{ServiceMethod: r.ServiceMethod, Seq: r.Seq}
	method, is := methods[r.ServiceMethod]
	if !is {
		answer.Error = "rpc: can't find method " + r.ServiceMethod
		return answer, Nothing{}
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	defer watch(leave)()
	reply, err := method(ctx, args)
	if err != nil {
		answer.Error, reply = err.Error(), Nothing{}
	}
	return answer, reply
}

// watch calls leave where the caller hangs up: until he has his answer he has nothing to say.
func watch(conn net.Conn, in *bufio.Reader, leave func()) (stop func()) {
	over := make(chan struct{})
	go func() {
		if _, err := in.Peek(1); err != nil {
			leave()
		}
		close(over)
	}()
	return func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // of a socket that is open it cannot fail
		<-over
		_ = conn.SetReadDeadline(time.Time{})
	}
}
