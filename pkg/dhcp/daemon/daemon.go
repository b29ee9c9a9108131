// Package daemon gets leases of DHCP servers for containers, and renews them: for its plugin or the reference's. What it knows is on disk, a file a lease, so
// that whoever comes after it goes on. Between two renewals a lease is a timer.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"path/filepath"
	"sync"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/call"
	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/keys"
)

// Options are the daemon's flags.
type Options struct {
	HostPrefix    string        // before the paths of the socket and of namespaces
	Socket        string        // with the prefix
	Broadcast     bool          // answers of servers are to come to everybody
	Patience      time.Duration // for one answer of a server
	ResendTimeout time.Duration // for a lease
	Idle          time.Duration // how long it stays without a lease, after its first call; 0: for ever
}

// Daemon is one, at one socket.
type Daemon struct {
	Options
	ctx   context.Context // of all that goes on without a caller
	lock  sync.Mutex
	held  map[string]*holding // by whose they are
	turns *turns
	busy  int // calls
	quit  func()
	idle  *time.Timer
}

// New reads what a daemon before it has left, and goes on with that.
func New(ctx context.Context, o Options, quit func()) *Daemon {
	d := &Daemon{Options: o, ctx: ctx, held: make(map[string]*holding), turns: newTurns(), quit: quit}
	d.idle = time.AfterFunc(time.Hour, d.leave)
	d.idle.Stop()
	list, err := lease.All(d.dir())
	if err != nil {
		log.Printf("leases: %v", err)
	}
	for _, r := range list {
		if !d.lives(r) {
			log.Printf("%s: the container is gone, and its lease is not renewed", r.Whose())
			_ = r.Remove(d.dir()) // it is told again by the next one
			continue
		}
		h := d.holding(r.Whose())
		h.rec = &r
		d.wind(h)
	}
	return d
}

func (d *Daemon) dir() string { return folder.Of(d.Socket) }

// Serve answers calls until the listener is closed.
func (d *Daemon) Serve(listener net.Listener) error {
	methods := map[string]call.Method{"DHCP.Allocate": d.allocate, "DHCP.Release": d.release, "DHCP.Check": d.check}
	for {
		conn, err := listener.Accept()
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM) {
			log.Printf("dhcp daemon: %v", err)
			select { // who calls waits, and the leases are kept
			case <-time.After(time.Second):
			case <-d.ctx.Done():
			}
			continue
		}
		if err != nil {
			return err
		}
		d.count(1)
		go func() {
			defer d.rest()
			defer d.count(-1)
			defer conn.Close()
			_ = call.Serve(d.ctx, conn, methods) // who has gone needs no answer
		}()
	}
}

func (d *Daemon) count(by int) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.busy += by
}

// rest begins to count the time in which nobody needs the daemon, where there is nothing to do.
func (d *Daemon) rest() {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.Idle > 0 && d.busy == 0 && len(d.held) == 0 {
		d.idle.Reset(d.Idle)
	}
}

func (d *Daemon) leave() {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.busy == 0 && len(d.held) == 0 {
		d.quit()
	}
}

func (d *Daemon) path(netns string) string { return filepath.Join(d.HostPrefix, netns) }

// asked is a record without terms, of what a call asks for.
func asked(args call.Args) (r lease.Record, err error) {
	k, err := keys.Parse(args.StdinData)
	if err != nil {
		return r, err
	}
	r = lease.Record{Network: k.String("name", ""), ContainerID: args.ContainerID, IfName: args.IfName, Netns: args.Netns}
	r.Inode = uint64(k.Number(call.Inode, 0))
	r.Options = lease.Read(k.Object("ipam"), args.Args)
	return r, k.Err()
}

// allocate is an ADD, and the CHECK of the reference: the lease that there is, or a new one.
func (d *Daemon) allocate(ctx context.Context, args call.Args) (*types100.Result, error) {
	r, err := asked(args)
	if err != nil {
		return nil, err
	}
	h := d.take(r.Whose())
	defer d.yield(h)
	place, err := Arrive(d.path(r.Netns), r.IfName, r.Inode)
	if err != nil {
		return nil, err
	}
	defer place.Leave()
	if h.rec != nil && place.is(*h.rec) && h.rec.Over == "" {
		return h.rec.Result(), nil
	}
	d.forget(h) // of another life of the container
	return d.acquire(ctx, h, r, place, args)
}

func (d *Daemon) acquire(ctx context.Context, h *holding, r lease.Record, place Place, args call.Args) (*types100.Result, error) {
	r.Inode, r.Link, r.MAC = place.Inode, place.Link, place.MAC
	r.ID = r.Options.Identity(r.Whose(), r.MAC, lease.Arguments(args.Args), r.IfName)
	ctx, stop := context.WithTimeout(ctx, d.ResendTimeout)
	defer stop()
	ctx, done := d.asking(ctx, h)
	defer done()
	terms, err := place.client(r, d.Options).Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("lease for %s: %w", r.IfName, err)
	}
	r.Terms = terms
	if r.MTU != 0 {
		if err = d.change(r, rtnl.SetMTU(r.IfName, r.MTU)); err != nil {
			err = fmt.Errorf("the server's MTU %d on %s: %w", r.MTU, r.IfName, err)
		}
	}
	if err == nil {
		err = packet.ByHand(func() error { return r.Write(d.dir()) })
	}
	if err != nil {
		return nil, errors.Join(err, place.client(r, d.Options).Release(context.WithoutCancel(ctx), terms))
	}
	h.rec = &r
	d.wind(h)
	log.Printf("%s: %s of %s for %v", r.Whose(), r.Addr, r.Server, r.End)
	return r.Result(), nil
}

// release is a DEL. That there is no lease is success, and that it cannot be given back, too: it ends by itself.
func (d *Daemon) release(ctx context.Context, args call.Args) (*types100.Result, error) {
	r, _ := asked(args) // whatever the configuration has become
	h := d.reserve(r.Whose())
	d.seize(h)
	defer d.yield(h)
	if h.rec == nil {
		return nil, r.Remove(d.dir()) // of what a kill left half written
	}
	if err := Release(ctx, *h.rec, d.path(h.rec.Netns), 0); err != nil {
		log.Printf("%s: not given back: %v", h.rec.Whose(), err)
	}
	d.forget(h)
	return nil, nil
}

// check says what the lease is, and changes nothing.
func (d *Daemon) check(_ context.Context, args call.Args) (*types100.Result, error) {
	r, err := asked(args)
	if err != nil {
		return nil, err
	}
	h := d.take(r.Whose())
	defer d.yield(h)
	if h.rec == nil {
		return nil, fmt.Errorf("%s: no lease", r.Whose())
	}
	if wrong := h.rec.Over + h.rec.Told; wrong != "" {
		return nil, fmt.Errorf("lease %s: %s", h.rec.Addr, wrong)
	}
	return h.rec.Result(), nil
}
