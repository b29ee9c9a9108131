// Package reach makes other hosts' blocks reachable: a route to each, by its host where that is on a link of ours, else through one vxlan link. It is a pure
// plan, compared with what the kernel has; the kernel's own events say when to compare. What is ours is told by a routing protocol number, and by being on
// our link; nothing else is touched.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
)

// Protocol is the number by which routes are ours (rtnetlink(7), rtm_protocol), where the configuration does not have another: it is not one of those that
// iproute2 or the kernel know by name, and the plugins' own are the two before it.
const Protocol = 118

// OfOthers says whether routes of that number are somebody else's (RTPROT_* of include/uapi/linux/rtnetlink.h; FRR's; the plugins'): among them the default route that
// DHCP or a router has given. Whatever has our number and is not wanted is removed.
func OfOthers(protocol int) bool {
	return protocol <= unix.RTPROT_KEEPALIVED || slices.Contains([]int{unix.RTPROT_BABEL, unix.RTPROT_OPENR, 80, 84, 116, 117}, protocol) || 186 <= protocol && protocol <= 198
}

// Config says how this host reaches others.
type Config struct {
	Network  string
	Node     string // this host's name
	Mode     Mode
	Local    netip.Addr // at which others reach this host: the tunnel's end
	Follow   bool       // Local is what this host's own blocks say, and may change
	Protocol int
	VNI      int
	Port     int // of UDP
	Log      func(format string, args ...any)
}

// Reach is this host's share. It is an agent.Reach.
type Reach struct {
	Config

	kernel *kernel
	events *events
	pulled chan struct{}

	mutex  sync.Mutex // one at a time changes the kernel
	blocks []agent.Neighbour
	told   bool      // blocks are known
	quiet  time.Time // until which not all is looked at
	retry  <-chan time.Time
	said   map[string]bool

	hearing sync.Mutex // free while the kernel is changed: it tells of each change, and drops all where that is not heard
	seen    seen
	due     due
}

// Open begins to listen to the kernel, of the calling thread's network namespace. Nothing is changed before the first Set. A second one with the same protocol
// is refused there: they would remove each other's routes.
func Open(c Config) (*Reach, error) {
	k, err := openKernel(c)
	if err != nil {
		return nil, err
	}
	e, err := listen()
	if err != nil {
		k.Close()
		return nil, err
	}
	r := &Reach{Config: c, kernel: k, events: e, pulled: make(chan struct{}, 1)}
	return r, nil
}

// Close ends what does not run. It changes nothing.
func (r *Reach) Close() {
	r.events.Close()
	r.kernel.Close()
}

// Set makes these blocks reachable, and no others.
func (r *Reach) Set(_ context.Context, blocks []agent.Neighbour) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.blocks, r.told = blocks, true
	for _, b := range blocks {
		if r.Follow && b.Node == r.Node && len(b.Via) > 0 {
			r.Local = b.Via[0]
		}
	}
	return r.repair()
}

// rest is for how long events are left to gather after a repair. After a look at all there is none for as long as that took: who spoils things all the time
// has not the whole processor of us.
const rest = 20 * time.Millisecond

// Run repairs what others change until ctx ends, and then changes nothing: routes stay.
func (r *Reach) Run(ctx context.Context) {
	defer r.kernel.Close()
	stop := context.AfterFunc(ctx, r.events.Close)
	defer stop()
	go r.events.each(func(e event) {
		r.hearing.Lock()
		defer r.hearing.Unlock()
		if r.seen.hear(e, &r.due) {
			agent.Pull(r.pulled)
		}
	})
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-r.pulled:
		case <-r.retry:
		}
		r.retry = nil
		switch looked, err := r.again(); {
		case err != nil && ctx.Err() == nil:
			failures++
			r.Log("reachability: %v; is tried again", err)
			r.later(min(100*time.Millisecond<<min(failures, 8), 30*time.Second))
		case looked:
			failures = 0
		}
		agent.Sleep(ctx, rest)
	}
}

// later has it done again after that time, if nothing else has it done before. Only Run calls it.
func (r *Reach) later(after time.Duration) { r.retry = time.After(after) }

// again does what is due, and says whether it looked at all.
func (r *Reach) again() (looked bool, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !r.told {
		return false, nil
	}
	all := r.restore()
	if wait := time.Until(r.quiet); !all || wait > 0 {
		if all {
			r.later(wait)
		}
		return false, nil
	}
	began := time.Now()
	err = r.repair()
	r.quiet = time.Now().Add(time.Since(began))
	if err != nil {
		r.dueAll()
	}
	return true, err
}

// dueAll has all looked at the next time.
func (r *Reach) dueAll() {
	r.hearing.Lock()
	defer r.hearing.Unlock()
	r.due.all = true
}

// restore puts back what went, and asks the kernel nothing: among ten thousand routes one is back as soon as among ten. Where it does not fit somebody else has
// taken the place, or the way is gone: then all has to be looked at, which it says.
func (r *Reach) restore() (all bool) {
	r.hearing.Lock()
	change, tunnel := Diff(Set{}, r.due.lost), r.seen.tunnel
	r.due.lost = Set{}
	r.hearing.Unlock()
	if err := r.kernel.restore(change, tunnel); err != nil {
		r.dueAll()
	} else if change.Len() > 0 {
		r.Log("reachability: %s", change)
	}
	r.hearing.Lock()
	defer r.hearing.Unlock()
	return r.due.all
}

// repair brings the kernel to what is wanted, whatever it has.
func (r *Reach) repair() error {
	change, tunnel, err := r.compare()
	err = errors.Join(err, r.kernel.apply(change, tunnel))
	if change.Len() > 0 {
		r.Log("reachability: %s", change)
	}
	return err
}

// compare finds out what has to be changed, and what is to be heard from now on. Without a tunnel the rest is done.
func (r *Reach) compare() (change Change, tunnel int, err error) {
	r.hearing.Lock()
	defer r.hearing.Unlock()
	r.due = due{}
	g, noTunnel := r.ground()
	want, complaints := r.plan(r.blocks, g)
	have, foreign, err := r.kernel.read(g.Tunnel)
	if err != nil {
		return change, g.Tunnel, err
	}
	r.seen = see(want, g, r.Config) // what is withheld, too: it comes when the other goes
	complaints = append(complaints, withhold(want, have, foreign)...)
	r.say(complaints)
	return Diff(have, want), g.Tunnel, noTunnel
}

// ground is what the kernel says of the ways to others. What it said before holds until an event says otherwise.
func (r *Reach) ground() (g Ground, err error) {
	if r.Mode.tunnels() {
		g.Tunnel, err = r.kernel.link(r.Config)
	}
	g.Paths = make(map[netip.Addr]Path)
	for _, b := range r.blocks {
		for _, via := range b.Via {
			if b.Node == r.Node || !OfHost(via) {
				continue
			}
			path, known := r.seen.paths[via]
			if !known {
				path = r.kernel.path(via)
			}
			g.Paths[via] = path
		}
	}
	return g, err
}

// withhold takes from what is wanted the routes to where somebody else has one: it is told, and stays.
func withhold(want, have Set, foreign map[netip.Prefix]int) (complaints []string) {
	for route := range want.Routes {
		if by, there := foreign[route.Dst]; there && !have.Routes[route] {
			delete(want.Routes, route)
			complaints = append(complaints, fmt.Sprintf("block %s: there is a route of somebody else's (protocol %d), which is left alone: remove it", route.Dst, by))
		}
	}
	slices.Sort(complaints)
	return complaints
}

// say tells what was not told the last time, and what is over.
func (r *Reach) say(complaints []string) {
	said := make(map[string]bool, len(complaints))
	for _, text := range complaints {
		said[text] = true
		if !r.said[text] {
			r.Log("reachability: %s", text)
		}
	}
	r.said = said
}

// name is the tunnel's.
func (c Config) name() string { return fmt.Sprintf("vxlan.%d", c.VNI) }
