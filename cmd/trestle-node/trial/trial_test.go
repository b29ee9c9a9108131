package trial

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/test/nstest"
)

// small is a pool for which hosts must fight.
var small = pool.Definition{CIDRs: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24")}, BlockSize: pool.Sizes{IPv4: 28}, Shape: pool.Routed}

// length is how long the run lasts; TRESTLE_TRIAL makes it longer.
func length(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("TRESTLE_TRIAL")
	if text == "" {
		return short
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return long
}

// memory is a directory on a tmpfs.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "trial")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func placesIn(dir, node string) ledger.Places {
	dir += "/" + node
	return ledger.Places{Network: "pods", Ledger: dir + "/disk.json", Ranges: dir + "/ranges.json", Data: dir + "/books"}
}

// define makes the pool as soon as the cluster answers.
func (c *cluster) define(network string, d pool.Definition) {
	c.t.Helper()
	s := c.dial(network, 5*time.Second)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for {
		err := agent.Define(ctx, s, d)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			c.t.Fatal(err)
		}
	}
}

// run lets hosts live on the cluster for a while, or until a planted fault shows, with trouble or without (nil), which says how often there was any.
func run(t *testing.T, c *cluster, network string, p plant, hosts int, last time.Duration, trouble func(context.Context) int) *oracle {
	t.Helper()
	c.define(network, small)
	ctx, stop := context.WithTimeout(context.Background(), last)
	defer stop()
	o := &oracle{owners: make(map[pool.ID]map[string]bool)}
	if p.name != "" {
		o.shows = stop
	}
	dir := memory(t)
	var all sync.WaitGroup
	var actors []*actor
	for i := range hosts {
		a := &actor{name: fmt.Sprintf("n%d", i), oracle: o, did: make(map[string]int)}
		a.places = placesIn(dir, a.name)
		a.places.Network = network
		a.store = &shown{Store: c.dial(network, time.Second), plant: p, loses: 0.05, look: func() { o.see(a.name, a.places.Ranges) }}
		actors = append(actors, a)
		all.Go(func() { a.live(ctx) })
	}
	faults := 0
	if trouble != nil {
		faults = trouble(ctx)
	}
	all.Wait()
	did := make(map[string]int)
	for _, a := range actors {
		for what, n := range a.did {
			did[what] += n
		}
	}
	t.Logf("%s: %d faults, %d times open, %v", last, faults, o.opened, did)
	if o.opened < 3*hosts && p.name == "" {
		t.Errorf("only %d times was a block opened: the run shows nothing", o.opened)
	}
	if p.name == "" {
		c.agree(network, actors)
	}
	return o
}

// agree holds that, when all is quiet, hosts and store say the same: each key is known to the host that it names, and each open block has its key.
func (c *cluster) agree(network string, actors []*actor) {
	c.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	s := c.dial(network, 10*time.Second)
	known := make(map[pool.ID]string)
	for _, a := range actors {
		l, err := ledger.Open(ctx, a.places, a.name)
		if err != nil {
			c.t.Fatal(err)
		}
		h := &agent.Host{Store: s, Ledger: l, MaxBlocks: 3}
		for err = h.Join(ctx, true); err != nil && ctx.Err() == nil; err = h.Join(ctx, true) {
			wait(ctx, 100*time.Millisecond)
		}
		for err = h.Settle(ctx); err != nil && ctx.Err() == nil; err = h.Settle(ctx) {
			wait(ctx, 100*time.Millisecond)
		}
		for _, b := range l.State.Blocks {
			known[b.ID] = a.name
		}
		l.Close()
	}
	reply, err := s.Do(ctx, protocol.Request{Verb: protocol.Look, All: true})
	if err != nil {
		c.t.Fatal(err)
	}
	owners := make(map[pool.ID]string)
	for _, e := range reply.Entries {
		owners[e.Key.Block] = e.Owner.Node
	}
	if !maps.Equal(known, owners) {
		c.t.Errorf("hosts know of %v, the store of %v", known, owners)
	}
}

func TestTrouble(t *testing.T) {
	c := startCluster(t, 3)
	o := run(t, c, "pods", plant{}, 12, length(t, 15*time.Second), c.trouble)
	o.hold(t)
}

// One member after the other is removed, and another with an empty disk put in its place, under claims; in a long run none of the first is left. To the hosts it is
// the same store throughout: a new member is taken neither for a backup nor for another cluster.
func TestMembersAreReplaced(t *testing.T) {
	c := startCluster(t, 3)
	o := run(t, c, "pods", plant{}, 12, length(t, 15*time.Second), c.replace)
	o.hold(t)
}

// The same where members are cut off, too.
func TestCuts(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c := startApart(t, 3)
		o := run(t, c, "pods", plant{}, 12, length(t, 15*time.Second), c.trouble)
		o.hold(t)
	})
}

// hold holds that nothing was open twice.
func (o *oracle) hold(t *testing.T) {
	t.Helper()
	if len(o.faults) > 0 {
		t.Errorf("%d faults:\n%s", len(o.faults), strings.Join(o.faults[:min(10, len(o.faults))], "\n"))
	}
}

// The oracle sees what is wrong, and the run of a planted fault ends when it does.
func TestPlantedFaultsShow(t *testing.T) {
	c := startCluster(t, 1)
	for i, p := range []plant{
		{name: "a block's deletion is sent before it is closed", early: true},
		{name: "a claim does not compare the block", send: without(protocol.Claim)},
		{name: "keys of blocks run out", expires: true},
		{name: "they run out, and are renewed without a condition", expires: true, send: without(protocol.Reopen)},
	} {
		o := run(t, c, fmt.Sprintf("net%d", i), p, 8, length(t, 20*time.Second), nil)
		if len(o.faults) == 0 {
			t.Errorf("%s: does not show", p.name)
		}
		t.Logf("%s: %d faults", p.name, len(o.faults))
	}
}

// without sends requests of the verb without what they compare of the block.
func without(verb protocol.Verb) func(protocol.Request) protocol.Request {
	return func(q protocol.Request) protocol.Request {
		if q.Verb == verb {
			q.If = slices.DeleteFunc(slices.Clone(q.If), func(c protocol.Compare) bool { return c.Key.Kind == protocol.OfBlock })
		}
		return q
	}
}
