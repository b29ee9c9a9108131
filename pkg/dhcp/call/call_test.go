package call

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/rpc"
	"path/filepath"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
)

// DHCP is a daemon as the reference has it, by net/rpc itself.
type DHCP struct{}

// Allocate echoes what it got in a result.
func (DHCP) Allocate(args *skel.CmdArgs, result *types100.Result) error {
	if args.ContainerID == "refused" {
		return errors.New("no more leases")
	}
	_, subnet, _ := net.ParseCIDR("10.1.0.0/24")
	result.IPs = []*types100.IPConfig{{Address: net.IPNet{IP: net.IPv4(10, 1, 0, 2), Mask: subnet.Mask}, Gateway: net.IPv4(10, 1, 0, 1)}}
	result.Routes = []*types.Route{{Dst: *subnet, GW: net.IPv4(10, 1, 0, 9)}}
	result.DNS = types.DNS{Nameservers: []string{args.ContainerID, args.Netns, args.IfName, args.Args, args.Path}, Domain: string(args.StdinData)}
	return nil
}

// Release has no answer.
func (DHCP) Release(*skel.CmdArgs, *struct{}) error { return nil }

var said = Args{ContainerID: "c1", Netns: "/run/netns/c1", IfName: "eth0", Args: "K=V", Path: "/opt/cni/bin", StdinData: []byte("{}")}

func listen(t *testing.T) (string, *net.UnixListener) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path, l
}

func serveOurs(t *testing.T, l *net.UnixListener, methods map[string]Method) {
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() { _ = Serve(t.Context(), conn, methods); conn.Close() }()
		}
	}()
}

func ours(_ context.Context, args Args) (*types100.Result, error) {
	var result types100.Result
	err := DHCP{}.Allocate(&skel.CmdArgs{ContainerID: args.ContainerID, Netns: args.Netns, IfName: args.IfName, Args: args.Args, Path: args.Path, StdinData: args.StdinData}, &result)
	return &result, err
}

// TestBothWays holds our end against net/rpc's, on either side.
func TestBothWays(t *testing.T) {
	path, theirs := listen(t)
	server, mux := rpc.NewServer(), http.NewServeMux()
	if err := server.Register(DHCP{}); err != nil {
		t.Fatal(err)
	}
	mux.Handle(rpc.DefaultRPCPath, server)
	go func() { _ = (&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}).Serve(theirs) }()
	var want types100.Result
	_ = DHCP{}.Allocate(&skel.CmdArgs{ContainerID: "c1", Netns: said.Netns, IfName: "eth0", Args: "K=V", Path: said.Path, StdinData: said.StdinData}, &want)
	want.CNIVersion = "1.1.0"

	result := types100.Result{CNIVersion: "1.1.0"}
	if err := Do(t.Context(), path, "DHCP.Allocate", said, &result); err != nil || !cmp.Equal(want, result) {
		t.Errorf("our client: %v %s", err, cmp.Diff(want, result))
	}
	if err := Do(t.Context(), path, "DHCP.Release", said, nil); err != nil {
		t.Error(err)
	}
	var refused Refused
	if err := Do(t.Context(), path, "DHCP.Allocate", Args{ContainerID: "refused"}, &result); !errors.As(err, &refused) || refused.Unknown() || refused != "no more leases" {
		t.Errorf("%v", err)
	}
	if err := Do(t.Context(), path, "DHCP.Check", said, &result); !errors.As(err, &refused) || !refused.Unknown() {
		t.Errorf("%v, want an unknown method", err)
	}

	path, l := listen(t)
	serveOurs(t, l, map[string]Method{"DHCP.Allocate": ours, "DHCP.Release": func(context.Context, Args) (*types100.Result, error) { return nil, nil }})
	client, err := rpc.DialHTTP("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 3 { // on one connection
		result = types100.Result{CNIVersion: "1.1.0"}
		err := client.Call("DHCP.Allocate", &skel.CmdArgs{ContainerID: "c1", Netns: said.Netns, IfName: "eth0", Args: "K=V", Path: said.Path, StdinData: said.StdinData}, &result)
		if err != nil || !cmp.Equal(want, result) {
			t.Errorf("their client: %v %s", err, cmp.Diff(want, result))
		}
		if err := client.Call("DHCP.Allocate", &skel.CmdArgs{ContainerID: "refused"}, &result); err == nil || err.Error() != "no more leases" {
			t.Error(err)
		}
		if err := client.Call("DHCP.Release", &skel.CmdArgs{}, &struct{}{}); err != nil {
			t.Error(err)
		}
		if err := client.Call("DHCP.None", &skel.CmdArgs{}, &struct{}{}); err == nil || !Refused(err.Error()).Unknown() {
			t.Error(err)
		}
	}
}

// TestCallerLeaves: who hangs up ends what he asked for; and a call ends with its context.
func TestCallerLeaves(t *testing.T) {
	path, l := listen(t)
	left := make(chan struct{})
	begun := make(chan struct{})
	serveOurs(t, l, map[string]Method{"DHCP.Allocate": func(ctx context.Context, _ Args) (*types100.Result, error) {
		close(begun)
		<-ctx.Done()
		close(left)
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := Do(ctx, path, "DHCP.Allocate", said, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-left
}

// TestNobody: a socket at which nobody listens, and one at which somebody else does.
func TestNobody(t *testing.T) {
	if err := Do(t.Context(), filepath.Join(t.TempDir(), "none"), "DHCP.Allocate", said, nil); err == nil {
		t.Error("no error")
	}
	path, l := listen(t)
	go func() {
		conn, err := l.AcceptUnix()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.0 404 Not Found\n\n"))
			conn.Close()
		}
	}()
	if err := Do(t.Context(), path, "DHCP.Allocate", said, nil); err == nil {
		t.Error("no error")
	}
}
