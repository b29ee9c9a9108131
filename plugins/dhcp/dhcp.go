// Package dhcp is the CNI address plugin dhcp: it gives what a DHCP server gives, through a daemon that renews it. Plugin and daemon have the keys, flags and
// protocol of those of that name in containernetworking/plugins, and either works with the other's.
package dhcp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/dhcp/call"
	"github.com/trestle-cni/trestle/pkg/dhcp/daemon"
	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Plugin returns dhcp.
func Plugin() plugin.Plugin {
	return plugin.Plugin{Name: "dhcp", Add: add, Del: del, Check: check, GC: gc, Status: status,
		Parse:  func(r *plugin.Request) error { _, err := parse(r); return err },
		Daemon: func(args []string) int { return daemon.Main(args, os.Stderr) }}
}

// parse reads the configuration whole, and returns where the daemon is.
func parse(r *plugin.Request) (socket string, err error) {
	ipam := r.Keys.Object("ipam")
	lease.Read(ipam, r.Environ["CNI_ARGS"])
	socket = cmp.Or(ipam.String("daemonSocketPath", ""), folder.Socket)
	return socket, r.Keys.Err()
}

// ask calls the daemon. Its errors keep their words.
func ask(ctx context.Context, r *plugin.Request, socket, method string, reply *types100.Result) error {
	netns := r.Netns
	if abs, err := filepath.Abs(netns); err == nil && netns != "" {
		netns = abs
	}
	err := call.Do(ctx, socket, method, call.Args{ContainerID: r.ContainerID, Netns: netns, IfName: r.IfName, Args: r.Environ["CNI_ARGS"],
		Path: r.Environ["CNI_PATH"], NetnsOverride: r.Environ["CNI_NETNS_OVERRIDE"], StdinData: located(r)}, reply)
	var refused call.Refused
	if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
		return err
	}
	return fault.New(fault.TryLater, call.Start, "no daemon at %s: %w", socket, err)
}

// located is the configuration, with which namespace this call has opened.
func located(r *plugin.Request) []byte {
	number, err := netns.NumberOf(r.Namespace())
	if err != nil { // there is none
		return r.Config
	}
	return bytes.Replace(r.Config, []byte("{"), fmt.Appendf(nil, "{%q: %d, ", call.Inode, number), 1)
}

func add(ctx context.Context, r *plugin.Request) error {
	socket, err := parse(r)
	if err != nil {
		return err
	}
	if kind, why := r.Sandbox(); kind != plugin.SandboxAlive {
		return why
	}
	ctx, stop := deadline.Early(ctx)
	defer stop()
	result := types100.Result{CNIVersion: types100.ImplementedSpecVersion}
	if err := ask(ctx, r, socket, "DHCP.Allocate", &result); err != nil {
		return refusal(err)
	}
	return r.Print(&result)
}

// refusal is what the daemon said: mostly that no server answers, which may be otherwise the next time.
func refusal(err error) error {
	var refused call.Refused
	if errors.As(err, &refused) || errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.TryLater, "see whether a DHCP server answers on that network, and what the daemon's log says", "%w", err)
	}
	return err
}

// del gives the lease back: through the daemon or, where there is none, by what it has written down. A lease that cannot be given back ends by itself.
func del(ctx context.Context, r *plugin.Request) error {
	socket, err := parse(r)
	if err != nil {
		r.Logf("DEL goes on in spite of: %v", err)
	}
	asking, stop := deadline.Share(ctx, 4)
	defer stop()
	if err = ask(asking, r, socket, "DHCP.Release", nil); err == nil {
		return nil
	}
	r.Logf("DEL goes on in spite of: %v", err)
	return release(ctx, r, folder.Of(socket))
}

// release gives back what is written down, and forgets it: what cannot be read, and what a kill left half written, too.
func release(ctx context.Context, r *plugin.Request, dir string) error {
	rec, err := lease.Find(dir, r.ContainerID, r.Network, r.IfName)
	if rec != nil {
		err = daemon.Release(ctx, *rec, cmp.Or(r.Netns, rec.Netns), r.Namespace())
	}
	if err != nil {
		r.Logf("the lease is not given back, and ends by itself: %v", err)
	}
	return lease.Record{ContainerID: r.ContainerID, Network: r.Network, IfName: r.IfName}.Remove(dir)
}

// check asks what the daemon has. The reference's knows one way to say it, which may get a new lease.
func check(ctx context.Context, r *plugin.Request) error {
	socket, err := parse(r)
	if err != nil {
		return err
	}
	prev, err := r.PrevResult()
	if err != nil {
		return err
	}
	result := types100.Result{CNIVersion: types100.ImplementedSpecVersion}
	err = ask(ctx, r, socket, "DHCP.Check", &result)
	var refused call.Refused
	if errors.As(err, &refused) && refused.Unknown() {
		err = ask(ctx, r, socket, "DHCP.Allocate", &result)
	}
	if err != nil {
		return grant.Drift(fmt.Errorf("lease of %s: %w", r.IfName, err))
	}
	if prev == nil {
		return nil
	}
	has := grant.Held(prev, r.IfName)
	for _, g := range grant.Held(&result, r.IfName) {
		if !slices.ContainsFunc(has, func(h grant.Grant) bool { return h.Addr == g.Addr }) {
			return grant.Drift(fmt.Errorf("lease %s: prevResult has no such address", g.Addr))
		}
	}
	return nil
}

// status says whether somebody listens at the socket.
func status(_ context.Context, r *plugin.Request) error {
	socket, err := parse(r)
	if err != nil {
		return err
	}
	if err := call.Reach(socket); err != nil {
		return fault.New(fault.NoService, call.Start, "%w", err)
	}
	return nil
}

// gc gives back what no valid attachment of the network has; without a list, nothing: a lease of the dead is not renewed, and ends by itself.
func gc(ctx context.Context, r *plugin.Request) error {
	socket, err := parse(r)
	if err != nil {
		return err
	}
	valid, err := r.ValidAttachments()
	if err != nil || !valid.Known {
		return err
	}
	list, err := lease.All(folder.Of(socket))
	for _, rec := range list {
		if rec.Network != r.Network || valid.Keeps(owner.Of(rec.Network, rec.ContainerID, rec.IfName).ID) {
			continue
		}
		if r.DryRun() {
			r.Logf("would give lease %s of %s back", rec.Addr, rec.Whose())
			continue
		}
		dead := *r
		dead.ContainerID, dead.IfName, dead.Netns = rec.ContainerID, rec.IfName, rec.Netns
		err = fault.Join(err, del(ctx, &dead))
	}
	return err
}
