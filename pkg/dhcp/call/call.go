// Package call speaks the wire of net/rpc over HTTP, by which the reference's plugin dhcp talks to its daemon: a line CONNECT, and then for each call
// two gob values that way and two back. Package net/rpc itself brings net/http, which would double what a node downloads.
package call

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// Start is the remedy where there is none.
const Start = "start it: systemctl start cni-dhcp.socket, or dhcp daemon"

// Reach says why nobody listens at the socket; nil: somebody does.
func Reach(socket string) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("no daemon at %s: %w", socket, err)
	}
	return conn.Close()
}

const (
	hello   = "CONNECT /_goRPC_ HTTP/1.0\n\n"
	welcome = "HTTP/1.0 200 Connected to Go RPC"
)

// Args is what a call takes: the six texts and bytes of a plugin's call, as the reference's skeleton has them.
type Args struct {
	ContainerID, Netns, IfName, Args, Path, NetnsOverride string
	StdinData                                             []byte
}

// Inode is the key, among a configuration's own, by which a plugin of ours says which network namespace it was given: its path may lead elsewhere when the daemon
// follows it. Daemons of others do not know it.
const Inode = "trestleNetns"

// Refused is an error of the other end, in its words.
type Refused string

func (r Refused) Error() string { return string(r) }

// Unknown says whether the other end has no such method.
func (r Refused) Unknown() bool { return strings.HasPrefix(string(r), "rpc: can't find") }

// Do calls a method at the socket, and fills in the reply; nil where there is none. What that had and the other end does not tell stays.
func Do(ctx context.Context, socket, method string, args Args, reply *types100.Result) error {
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

func do(conn io.ReadWriter, method string, args Args, reply *types100.Result) error {
	if _, err := io.WriteString(conn, hello); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	line, err := head(in)
	if err != nil || line != welcome {
		return fmt.Errorf("%.100q in answer to CONNECT: %w", line, errors.Join(err, errors.ErrUnsupported))
	}
	out, answers := newEncoder(conn), newDecoder(in)
	if err := errors.Join(out.encode(requestID, object{"ServiceMethod": method}), out.encode(argsID, args.object())); err != nil {
		return err
	}
	answer, err := answers.decode()
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if said := answer.text("Error"); said != "" {
		return Refused(said)
	}
	body, err := answers.decode()
	if err == nil && reply != nil {
		fill(reply, body)
	}
	return err
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

// Method answers a call; nil is an answer of which there is nothing to tell. Its context ends when the caller has gone.
type Method func(context.Context, Args) (*types100.Result, error)

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
	out, calls := newEncoder(conn), newDecoder(in)
	for {
		request, err := calls.decode()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		args, err := calls.decode()
		if err != nil {
			return err
		}
		reply, err := answer(ctx, request.text("ServiceMethod"), argsOf(args), methods, func(leave func()) func() { return watch(conn, in, leave) })
		if err := out.answer(request, reply, err); err != nil {
			return err
		}
	}
}

func answer(ctx context.Context, name string, args Args, methods map[string]Method, watch func(func()) func()) (*types100.Result, error) {
	method, is := methods[name]
	if !is {
		return nil, errors.New("rpc: can't find method " + name)
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	defer watch(leave)()
	return method(ctx, args)
}

// answer says to which call it is an answer, and then what it is.
func (e *encoder) answer(request object, reply *types100.Result, failed error) error {
	head := object{"ServiceMethod": request["ServiceMethod"]}
	if seq, is := request["Seq"].(uint64); is && seq != 0 {
		head["Seq"] = seq
	}
	if failed != nil {
		head.set("Error", failed.Error())
	}
	if err := e.encode(responseID, head); err != nil {
		return err
	}
	if reply == nil || failed != nil {
		return e.encode(nothingID, object{})
	}
	return e.encode(resultID, resultObject(reply))
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
