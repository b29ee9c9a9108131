package trial

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/test/slack"
)

func openHost(t *testing.T, s agent.Store, p ledger.Places, node string) *agent.Host {
	t.Helper()
	l, err := ledger.Open(context.Background(), p, node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &agent.Host{Store: s, Ledger: l, MaxBlocks: 16}
}

func join(t *testing.T, h *agent.Host) {
	t.Helper()
	if err := h.Join(context.Background(), true); err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, h *agent.Host) pool.ID {
	t.Helper()
	id, err := h.Claim(context.Background(), 4)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// refused holds that the error is of the class, says this, and has a remedy.
func refused(t *testing.T, err error, code uint, text string) {
	t.Helper()
	if err == nil || fault.Code(err) != code || !strings.Contains(err.Error(), text) || fault.Hint(err) == "" {
		t.Errorf("code %d, %v (%s), want code %d, %q and a remedy", fault.Code(err), err, fault.Hint(err), code, text)
	}
}

// A machine that is down is forgotten, its block goes to another, and when it comes back it has none; while it lives none of this is done.
func TestForget(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	c.define("pods", small)
	s := c.dial("pods", slack.Of(5*time.Second))
	one := openHost(t, s, placesIn(dir, "n1"), "n1")
	join(t, one)
	had := claim(t, one)
	boot := one.Ledger.State.Boot

	breath, stop := context.WithCancel(ctx)
	gone := make(chan error, 1)
	go func() { gone <- s.Breathe(breath, "n1", boot, 10*time.Second) }()
	for alive := ""; alive != boot; { // until it is heard
		var err error
		if alive, err = s.Alive(ctx, "n1"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := agent.Forget(ctx, s, "n1", "")
	refused(t, err, fault.Taken, "was heard of")
	_, err = agent.Forget(ctx, s, "n1", "another")
	refused(t, err, fault.Taken, "its boot is "+boot)
	_, err = agent.Forget(ctx, s, "n7", "")
	refused(t, err, fault.Config, "has no record")
	stop()
	<-gone

	freed, err := agent.Forget(ctx, s, "n1", boot)
	if err != nil || len(freed) != 1 || freed[0] != had {
		t.Fatalf("freed %v, %v", freed, err)
	}
	if freed, err := agent.Forget(ctx, s, "n1", boot); err != nil || len(freed) > 0 { // once more is as well
		t.Errorf("forgotten twice: freed %v, %v", freed, err)
	}
	// The same boot, which ran after all, hears of it: nothing is open, and it says so.
	err = one.Join(ctx, false)
	refused(t, err, fault.NoService, "was declared dead while it ran")
	if len(one.Ledger.State.Blocks) > 0 {
		t.Errorf("it has %+v", one.Ledger.State.Blocks)
	}
	one.Ledger.Close()
	// It is rebooted: what the store has buried is another boot than this kernel's.
	buried := protocol.Entry{Key: protocol.NodeKey("n1"), Record: protocol.Record{Boot: "the one before", Dead: true}}
	if _, err := s.Do(ctx, protocol.Request{Verb: protocol.Bury, Put: &buried}); err != nil {
		t.Fatal(err)
	}
	a := &actor{name: "n1", places: placesIn(dir, "n1"), oracle: &oracle{owners: map[pool.ID]map[string]bool{}}, did: map[string]int{}}
	if err := a.reboot(); err != nil {
		t.Fatal(err)
	}
	one = openHost(t, s, a.places, "n1")
	join(t, one)
	claim(t, one)
}

// A second machine with a name that is in use is not let in.
func TestClone(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	c.define("pods", small)
	s := c.dial("pods", slack.Of(5*time.Second))
	h := openHost(t, s, placesIn(dir, "n1"), "n1")
	join(t, h)
	claim(t, h)
	h.Ledger.Close()
	// The store is told that another boot registered, and lives: to this machine that is what a clone is.
	look := protocol.Request{Verb: protocol.Look, Read: []protocol.Key{protocol.NodeKey("n1")}}
	seen, err := s.Do(ctx, look)
	if err != nil {
		t.Fatal(err)
	}
	other := protocol.State{Node: "n1", Boot: "another"}
	q, err := other.Register(seen.Entries[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(ctx, q); err != nil {
		t.Fatal(err)
	}
	breath, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = s.Breathe(breath, "n1", "another", 10*time.Second) }()
	for alive := ""; alive == ""; {
		if alive, err = s.Alive(ctx, "n1"); err != nil {
			t.Fatal(err)
		}
	}
	h = openHost(t, s, placesIn(dir, "n1"), "n1")
	refused(t, h.Join(ctx, false), fault.Taken, "another machine has this name")
}

// older is a store as a backup has it.
type older struct {
	*etcd.Store
	mark protocol.Mark
}

func (o *older) Do(ctx context.Context, q protocol.Request) (protocol.Reply, error) {
	reply, err := o.Store.Do(ctx, q)
	reply.Mark = o.mark
	return reply, err
}

// A store that has gone back, or is another, is asked for nothing; what the host has goes on. Then the pool is frozen, and the host says again what it has.
func TestRestored(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	c.define("pods", small)
	s := c.dial("pods", slack.Of(5*time.Second))
	h := openHost(t, s, placesIn(dir, "n1"), "n1")
	join(t, h)
	had, lost := claim(t, h), claim(t, h)
	known := protocol.Mark{Cluster: h.Ledger.Cluster, Latest: h.Ledger.Revision}
	for _, m := range []protocol.Mark{{Cluster: known.Cluster, Latest: known.Latest - 1}, {Cluster: known.Cluster + 1, Latest: known.Latest + 9}} {
		h.Store = &older{s, m}
		_, err := h.Claim(ctx, 4)
		refused(t, err, fault.NoService, "etcd: is a")
		if h.Ledger.State.Block(had).Phase != protocol.Open {
			t.Errorf("%+v: its block is closed", m)
		}
	}
	_, err := h.Restored(ctx)
	refused(t, err, fault.Config, "is not frozen")

	// The backup was made before: it has neither block, and somebody has claimed one of them since.
	for _, id := range []pool.ID{had, lost} {
		q, err := func() (protocol.Request, error) {
			st, err := h.Ledger.State.Close(id)
			if err != nil {
				return protocol.Request{}, err
			}
			return st.GiveBack(id)
		}()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Do(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	key := protocol.BlockKey(lost)
	put := protocol.Request{Verb: protocol.Claim, Put: &protocol.Entry{Key: key, Owner: protocol.Owner{Node: "n2", Nonce: "x"}}}
	if _, err := s.Do(ctx, put); err != nil {
		t.Fatal(err)
	}
	frozen := small
	frozen.Frozen = true
	c.define("pods", frozen)
	h.Store = s
	gone, err := h.Restored(ctx)
	if err != nil || !slices.Contains(gone, lost) || slices.Contains(gone, had) || h.Ledger.State.Block(had).Phase != protocol.Open {
		t.Errorf("lost %v, has %+v: %v", gone, h.Ledger.State.Blocks, err)
	}
	_, err = h.Claim(ctx, 4)
	refused(t, err, fault.NoService, "is frozen")
}

// started is an agent that runs, and what it says.
type started struct {
	*agent.Agent
	said lines
	stop func() error // returns when it has ended
}

// start runs the agent of the host n1; without a Reach it makes no ways to others.
func start(ctx context.Context, t *testing.T, s agent.Watched, p ledger.Places, reach agent.Reach) started {
	t.Helper()
	l, err := ledger.Open(ctx, p, "n1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	parts := []string{agent.Blocks}
	if reach != nil {
		parts = append(parts, agent.Ways)
	}
	said := make(lines, 100)
	a := &agent.Agent{
		Host: agent.Host{Ledger: l}, Life: life.New(life.Log(said), parts...), Reach: reach,
		Store: s, Limits: agent.Limits{Spare: 1, MaxBlocks: 4, Rest: time.Hour}, TTL: 3 * time.Second,
	}
	ended := make(chan error, 1)
	running, end := context.WithCancel(ctx)
	go func() { ended <- a.Run(running) }()
	return started{a, said, func() error { end(); return <-ended }}
}

// An agent has a block in hand before one is needed, hears of what is reserved, and stops without a change. Where there is no store it goes on trying.
func TestAgentKeepsOneInHand(t *testing.T) {
	c, dir := startCluster(t, 1), memory(t)
	c.define("pods", small)
	ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
	defer stop()
	p := placesIn(dir, "n1")
	a := start(ctx, t, c.dial("pods", slack.Of(2*time.Second)), p, nil)
	hear := func(text string) { t.Helper(); until(ctx, t, a.said, text) }
	hear("claimed block")
	hear(`"well"`)
	if err := a.Life.Ready(); err != nil {
		t.Errorf("it has a block, and is not ready: %v", err)
	}
	reserve(t, p)
	hear("claimed block")
	mends(t, p.Ranges)
	before, err := os.ReadFile(p.Ranges)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.stop(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if after, err := os.ReadFile(p.Ranges); err != nil || string(after) != string(before) {
		t.Errorf("a stop changed what host-local reads: %s, %v", after, err)
	}
}

// Who begins when no block is left in the pool has ways to the others all the same, is heard of, and gets one when there is one.
func TestAgentOfAFullPool(t *testing.T) {
	c, dir := startCluster(t, 1), memory(t)
	c.define("pods", small)
	ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
	defer stop()
	s := c.dial("pods", slack.Of(2*time.Second))
	block := func(i uint32) protocol.Key { return protocol.BlockKey(pool.ID{Family: 4, Index: i}) }
	for i := range small.Len(4) {
		put := protocol.Entry{Key: block(i), Owner: protocol.Owner{Node: "n2", Nonce: "x", Via: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}}
		if _, err := s.Do(ctx, protocol.Request{Verb: protocol.Claim, Put: &put}); err != nil {
			t.Fatal(err)
		}
	}
	ways := make(told, 1000)
	a := start(ctx, t, s, placesIn(dir, "n1"), ways)
	until(ctx, t, a.said, "none of its 16 IPv4 blocks is free")
	until(ctx, t, ways, strings.TrimSpace(strings.Repeat("n2 ", int(small.Len(4)))))
	for alive := ""; alive == ""; {
		var err error
		if alive, err = s.Alive(ctx, "n1"); err != nil {
			t.Fatal(err)
		}
	}
	free := block(7)
	if _, err := s.Do(ctx, protocol.Request{Verb: protocol.GiveBack, Delete: &free}); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, a.said, "claimed block")
}

// mends holds that what somebody does to the file, or to its directory, is undone, though nothing else happens.
func mends(t *testing.T, path string) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, want[:20], 0o600) },
		func() error { return errors.Join(os.Remove(path), os.Symlink("/none", path)) },
		func() error { return os.RemoveAll(filepath.Dir(path)) },
		func() error { return os.Remove(path) },
	} {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err == nil {
			_, err = unix.InotifyAddWatch(fd, filepath.Dir(filepath.Dir(path)), unix.IN_CREATE)
		}
		if err == nil {
			_, err = unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_MOVED_TO)
		}
		if err == nil {
			err = spoil()
		}
		if err != nil {
			t.Fatal(err)
		}
		for got, _ := os.ReadFile(path); string(got) != string(want); got, _ = os.ReadFile(path) {
			_, _ = unix.Read(fd, make([]byte, 4096))
			_, _ = unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_MOVED_TO) // of the new one
		}
		unix.Close(fd)
	}
}

// lines are those of a log.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	l <- string(text)
	return len(text), nil
}

// reserve is an ADD of host-local.
func reserve(t *testing.T, p ledger.Places) {
	t.Helper()
	books, err := ipam.Open(context.Background(), p.Data, p.Network, true)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	content, err := ledger.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	prefix, _ := content.Pool.Prefix(content.State.Blocks[0].ID)
	if _, err := books.Allocate(0, ipam.Set{ipam.Whole(prefix)}, netip.Addr{}, ipam.Attachment{Holder: ipam.Holder{ContainerID: "c", IfName: "eth0"}}); err != nil {
		t.Fatal(err)
	}
}
