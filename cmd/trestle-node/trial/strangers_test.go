package trial

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/slack"
)

// client is etcd's own.
func (c *cluster) client() *clientv3.Client {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.endpoints, Logger: zap.NewNop(), DialTimeout: 5 * time.Second})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { client.Close() })
	return client
}

// put writes a key as a stranger does.
func (c *cluster) put(ctx context.Context, key, value string) {
	c.t.Helper()
	if _, err := c.client().Put(ctx, key, value); err != nil {
		c.t.Fatal(err)
	}
}

// hostile is what somebody may write who can write below the prefix: by a mistake, by a newer program, or to do harm.
var hostile = []string{
	"", "{", "null", "[]", "7", `"n1"`, "{}", `{"node": 7}`, `{"node": ""}`, `{"node": "../../x", "claim": "x"}`, `{"node": "\u001b[2J\n", "claim": "x"}`,
	`{"node": "n3", "claim": "x", "until": "tomorrow"}`, `{"node": "n3", "claim": "x", "via": ["somewhere"]}`, `{"node": "n3", "claim": "x", "via": [""]}`,
	`{"node": "n3", "via": ["0.0.0.0", "224.0.0.1", "127.0.0.1", "fe80::1%eth0", "::ffff:10.0.0.1"]}`, `{"node": "` + strings.Repeat("n", 300) + `"}`,
	strings.Repeat("x", 100000), "\x00\xff\xfe", `{"node": "n3"} and more`,
}

// Whatever stands in others' keys, a host claims, opens, gives back, and hears of what comes; and nobody takes such a block for free.
func TestKeysOfStrangers(t *testing.T) {
	c, dir := startCluster(t, 1), memory(t)
	wide := small
	wide.CIDRs = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/22")} // 64 blocks
	c.define("pods", wide)
	ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
	defer stop()
	s := c.dial("pods", slack.Of(5*time.Second))
	taken := make(map[pool.ID]bool)
	for i, value := range hostile {
		id := pool.ID{Family: 4, Index: uint32(i)}
		c.put(ctx, "/cni/pods/block/"+id.String(), value)
		c.put(ctx, fmt.Sprintf("/cni/pods/node/s%d", i), value)
		taken[id] = true
	}
	for key, value := range map[string]string{
		"/cni/pods/block/4/ffffffff": `{"node": "n1", "claim": "x"}`, "/cni/pods/block/4/2a": "x", "/cni/pods/block/nonsense": "x", "/cni/pods/block/": "x",
		"/cni/pods/node/": "x", "/cni/pods/node/a/b": "x", "/cni/pods/node/\x1b[2J": "x", "/cni/pods/alive/n1": "x", "/cni/pods/else": "x",
	} {
		c.put(ctx, key, value)
	}
	ways := make(told, 100)
	a := start(ctx, t, s, placesIn(dir, "n1"), ways)
	until(ctx, t, a.said, `"well"`)
	two := openHost(t, s, placesIn(dir, "n2"), "n2")
	two.MaxBlocks = 60
	join(t, two)
	for range 64 - len(hostile) - 2 { // all that n1 leaves
		if id := claim(t, two); taken[id] {
			t.Errorf("block %s was not free", id)
		}
	}
	if _, err := two.Claim(ctx, 4); fault.Code(err) != fault.Exhausted && err != nil {
		t.Errorf("a pool that is full: %v", err)
	}
	id := two.Ledger.State.Blocks[0].ID
	if done, err := two.Release(ctx, id); !done || err != nil {
		t.Errorf("given back: %v, %v", done, err)
	}
	if _, _, err := s.Nodes(ctx); err != nil {
		t.Errorf("the list of hosts: %v", err)
	}
	if _, err := agent.Forget(ctx, s, "s0", ""); fault.Code(err) != fault.Decoding || fault.Hint(err) == "" {
		t.Errorf("a record that nobody can read is buried: %v", err)
	}
	c.put(ctx, "/cni/pods/block/"+id.String(), "{") // while all listen
	c.define("pods", wide)
	until(ctx, t, ways, "n2")
	if err := a.Life.Ready(); err != nil {
		t.Errorf("n1 is not ready: %v", err)
	}
	a.stop()
}

// What a host cannot read of its own it does nothing about, and says so: what it has goes on. A definition that cannot be read stops all from claiming, and no more.
func TestOwnKeysUnread(t *testing.T) {
	c, ctx, dir := startCluster(t, 1), context.Background(), memory(t)
	c.define("pods", small)
	s := c.dial("pods", slack.Of(5*time.Second))
	h := openHost(t, s, placesIn(dir, "n1"), "n1")
	join(t, h)
	id := claim(t, h)
	for key, value := range map[string]string{
		"node/n1":              `{"boot": "` + h.Ledger.State.Boot + `", "standby": true}`,
		"block/" + id.String(): `{"node": "n1", "claim": "x", "standby": true}`,
		"config":               `{"cidrs": ["10.9.0.0/24"], "blockSize": {"ipv4": 28}, "shape": "triangular"}`,
		"block/4/0000000f":     `{"node": "n1", "claim": "x", "standby": true}`,
	} {
		was, err := c.client().Get(ctx, "/cni/pods/"+key)
		if err != nil {
			t.Fatal(err)
		}
		c.put(ctx, "/cni/pods/"+key, value)
		err = h.Join(ctx, true)
		refused(t, err, fault.Decoding, "/cni/pods/"+key)
		if h.Ledger.State.Block(id).Phase != protocol.Open {
			t.Errorf("%s: its block is %s", key, h.Ledger.State.Block(id).Phase)
		}
		if len(was.Kvs) > 0 {
			c.put(ctx, "/cni/pods/"+key, string(was.Kvs[0].Value))
		} else if _, err := c.client().Delete(ctx, "/cni/pods/"+key); err != nil {
			t.Fatal(err)
		}
	}
	join(t, h)
}

// What operators do to an etcd, and what becomes of it, each while an agent runs: what it has goes on, what is wrong is said with a remedy, and when it is over the
// agent is well and has what it needs.
func TestWhatHappensToAStore(t *testing.T) {
	for name, do := range map[string]func(ctx context.Context, t *testing.T, c *cluster, a started, p ledger.Places){
		"compacted under a watch": compacted,
		"full":                    outOfSpace,
		"wants a password":        wantsPassword,
		"a record is deleted":     recordDeleted,
		"it has gone and come":    goneAndCome,
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := startCluster(t, 1), memory(t)
			c.define("pods", small)
			ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
			defer stop()
			p := placesIn(dir, "n1")
			a := start(ctx, t, c.dial("pods", slack.Of(2*time.Second)), p, make(told, 1000))
			until(ctx, t, a.said, `"well"`)
			do(ctx, t, c, a, p)
			if err := a.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// needs has the agent want one more block, and waits for it.
func needs(ctx context.Context, t *testing.T, a started, p ledger.Places) {
	t.Helper()
	reserve(t, p)
	until(ctx, t, a.said, "claimed block")
}

// recovers waits until the agent is well again, and has the block that it wanted meanwhile.
func recovers(ctx context.Context, t *testing.T, a started, p ledger.Places) {
	t.Helper()
	for had, err := ledger.Read(p); len(had.State.Opened()) < 2 || a.Life.Ready() != nil; had, err = ledger.Read(p) {
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil || err != nil {
			t.Fatalf("it has %+v, %v: %v", had.State.Blocks, err, a.Life.Ready())
		}
	}
}

// compacted forgets all that the watch was to be told after a break.
func compacted(ctx context.Context, t *testing.T, c *cluster, a started, p ledger.Places) {
	m := c.members[0]
	m.kill()
	m.start(t)
	client := c.client()
	for i := range 50 {
		if _, err := client.Put(ctx, "/elsewhere", fmt.Sprint(i)); err != nil && ctx.Err() == nil {
			continue
		}
	}
	got, err := client.Get(ctx, "/elsewhere")
	if err == nil {
		_, err = client.Compact(ctx, got.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err != nil {
		t.Fatal(err)
	}
	needs(ctx, t, a, p)
}

// outOfSpace raises the alarm by which etcd takes nothing any more, and takes it back.
func outOfSpace(ctx context.Context, t *testing.T, c *cluster, a started, p ledger.Places) {
	m := c.members[0]
	m.kill()
	m.args = append(m.args, "--quota-backend-bytes", "20000000")
	m.start(t)
	client := c.client()
	for i := 0; ; i++ {
		if _, err := client.Put(ctx, fmt.Sprint("/elsewhere/", i), strings.Repeat("x", 1<<20)); err != nil && strings.Contains(err.Error(), "space exceeded") {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("it is never full")
		}
	}
	reserve(t, p)
	until(ctx, t, a.said, "then disarm its alarm")
	if had, err := ledger.Read(p); err != nil || len(had.State.Opened()) == 0 {
		t.Errorf("it has %+v, %v", had.State, err)
	}
	got, err := client.Delete(ctx, "/elsewhere/", clientv3.WithPrefix())
	if err == nil {
		_, err = client.Compact(ctx, got.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err == nil {
		_, err = client.Defragment(ctx, c.endpoints[0])
	}
	if err == nil {
		_, err = client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	}
	if err != nil {
		t.Fatal(err)
	}
	recovers(ctx, t, a, p)
}

// wantsPassword turns on what lets in nobody without a name, and off again.
func wantsPassword(ctx context.Context, t *testing.T, c *cluster, a started, p ledger.Places) {
	client := c.client()
	_, err := client.UserAdd(ctx, "root", "root")
	if err == nil {
		_, err = client.RoleAdd(ctx, "root")
	}
	if err == nil {
		_, err = client.UserGrantRole(ctx, "root", "root")
	}
	if err == nil {
		_, err = client.AuthEnable(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	reserve(t, p)
	until(ctx, t, a.said, "the right to read and write below the prefix")
	root, err := clientv3.New(clientv3.Config{Endpoints: c.endpoints, Username: "root", Password: "root", Logger: zap.NewNop(), DialTimeout: 5 * time.Second})
	if err == nil {
		_, err = root.AuthDisable(ctx)
		root.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	recovers(ctx, t, a, p)
}

// recordDeleted takes away the host's record: it registers anew, and opens what it has.
func recordDeleted(ctx context.Context, t *testing.T, c *cluster, a started, p ledger.Places) {
	had, err := ledger.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.client().Delete(ctx, "/cni/pods/node/n1"); err != nil {
		t.Fatal(err)
	}
	needs(ctx, t, a, p)
	for _, id := range had.State.Opened() {
		for now, err := ledger.Read(p); now.State.Block(id).Phase != protocol.Open; now, err = ledger.Read(p) {
			if wait(ctx, 20*time.Millisecond); ctx.Err() != nil || err != nil {
				t.Fatalf("block %s is %s, %v", id, now.State.Block(id).Phase, err)
			}
		}
	}
}

// goneAndCome is an etcd that is away for a while in which a block is wanted.
func goneAndCome(ctx context.Context, t *testing.T, c *cluster, a started, p ledger.Places) {
	c.members[0].kill()
	reserve(t, p)
	until(ctx, t, a.said, "no answer")
	c.members[0].start(t)
	recovers(ctx, t, a, p)
}
