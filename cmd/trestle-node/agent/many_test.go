package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/test/slack"
)

// alone is an etcd on loopback.
func alone(t *testing.T) (endpoint string, pid int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint = "http://" + l.Addr().String()
	peer := "http://" + peers.Addr().String()
	l.Close()
	peers.Close()
	cmd := exec.Command("etcd", "--data-dir", t.TempDir(), "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("etcd: %v (on Debian: apt-get install etcd-server)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return endpoint, cmd.Process.Pid
}

// noted is a Reach that takes note of when it heard of which epochs, in place of a kernel.
type noted struct {
	mutex sync.Mutex
	seen  int64
	told  chan time.Time
}

func (n *noted) Set(_ context.Context, blocks []Neighbour) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, b := range blocks {
		if b.Epoch > n.seen {
			n.seen = b.Epoch
			n.told <- time.Now()
		}
	}
	return nil
}

// shared are some connections to one etcd, which many hosts share.
func shared(t *testing.T) (stores []*etcd.Store, client *clientv3.Client, pid int) {
	t.Helper()
	endpoint, pid := alone(t)
	conf := etcd.Config{Endpoints: []string{endpoint}, Prefix: "/cni", Network: "pods", Timeout: slack.Of(20 * time.Second)}
	for range 16 {
		one, err := clientv3.New(clientv3.Config{Endpoints: conf.Endpoints, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { one.Close() })
		client, stores = one, append(stores, etcd.Over(one, conf))
	}
	return stores, client, pid
}

// Hosts that all begin at one time have a first block each soon after, no two the same, ledgers and all. What asks again does so as an agent does.
func TestManyHostsClaim(t *testing.T) {
	hosts := 1000
	if os.Getenv("TRESTLE_LONG") != "" {
		hosts = 10000
	}
	ctx := context.Background()
	stores, client, _ := shared(t)
	d := pool.Definition{CIDRs: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/12")}, BlockSize: pool.Sizes{IPv4: 26}, Shape: pool.Routed} // 16384
	if err := Define(ctx, stores[0], d); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "many")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var all sync.WaitGroup
	var mutex sync.Mutex
	owners, again, room := make(map[pool.ID]string), 0, make(chan struct{}, 500) // who holds a lock holds a file
	began := time.Now()
	for i := range hosts {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			name := fmt.Sprintf("n%d", i)
			id, failures, err := firstBlock(ctx, stores[i%len(stores)], filepath.Join(dir, name), name)
			mutex.Lock()
			defer mutex.Unlock()
			if again += failures; err != nil || owners[id] != "" {
				t.Errorf("%s: %s, as %q: %v", name, id, owners[id], err)
			}
			owners[id] = name
		})
	}
	all.Wait()
	took := time.Since(began)
	t.Logf("%d hosts have a block each after %v; %d asked again", hosts, took.Round(time.Millisecond), again)
	if took > slack.Of(30*time.Second) {
		t.Errorf("it took %v", took)
	}
	status, err := client.Status(ctx, client.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("etcd has %d kB of it, history and all", status.DbSize>>10)
	if status.DbSize > 20<<20 {
		t.Errorf("etcd has %d bytes", status.DbSize)
	}
}

// Hosts that say that they live, each as often as an agent does, take less than a fifth of a processor of etcd.
func TestManyHostsLive(t *testing.T) {
	hosts, last := 1000, 5*time.Second
	if os.Getenv("TRESTLE_LONG") != "" {
		hosts, last = 10000, time.Minute
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	stores, _, pid := shared(t)
	for i := range hosts {
		all.Go(func() {
			Sleep(ctx, rand.N(last))
			for failures := 1; ctx.Err() == nil; failures++ { // some etcd may refuse: they try again as an agent does
				_ = stores[i%len(stores)].Breathe(ctx, fmt.Sprintf("n%d", i), "boot", 20*time.Second)
				Sleep(ctx, pause(failures))
			}
		})
	}
	for heard := 0; heard < hosts; {
		_, alive, err := stores[0].Nodes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		heard = len(alive)
	}
	before, began := spent(t, pid), time.Now()
	<-time.After(last)
	share := float64(spent(t, pid)-before) / float64(time.Since(began))
	_, alive, err := stores[0].Nodes(ctx)
	t.Logf("%d hosts that live: etcd takes %.1f %% of a processor", hosts, 100*share)
	if err != nil || len(alive) != hosts || share > 0.2 {
		t.Errorf("%d of %d live, by %.1f %% of a processor: %v", len(alive), hosts, 100*share, err)
	}
}

// spent is how much of a processor the process has had.
func spent(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var user, system int
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}

// firstBlock is what a host does that is new.
func firstBlock(ctx context.Context, s *etcd.Store, dir, name string) (id pool.ID, failures int, err error) {
	l, err := ledger.Open(ctx, ledger.Places{Network: "pods", Ledger: dir + "/disk.json", Ranges: dir + "/ranges.json", Data: dir + "/books"}, name)
	if err != nil {
		return id, 0, err
	}
	defer l.Close()
	h := &Host{Store: s, Ledger: l, MaxBlocks: 1}
	for failures < 20 {
		if err = h.Join(ctx, true); err == nil {
			err = h.Settle(ctx)
		}
		if blocks := l.State.Opened(); err == nil && len(blocks) > 0 { // a claim that nobody answered
			return blocks[0], failures, nil
		}
		if err == nil {
			id, err = h.Claim(ctx, 4)
		}
		if err == nil {
			return id, failures, nil
		}
		failures++
		Sleep(ctx, pause(failures))
	}
	return id, failures, err
}

// A change is with all agents soon after it was asked for: what a route of one's kernel takes beyond that is in package reach.
func TestManyAgentsHear(t *testing.T) {
	agents, changes := 50, 10
	if os.Getenv("TRESTLE_LONG") != "" {
		agents, changes = 500, 100
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stores, _, _ := shared(t)
	d := pool.Definition{CIDRs: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16")}, BlockSize: pool.Sizes{IPv4: 26}, Shape: pool.Routed}
	if err := Define(ctx, stores[0], d); err != nil {
		t.Fatal(err)
	}
	told := make(chan time.Time, agents)
	for i := range agents {
		a := &Agent{Store: stores[i%len(stores)], Reach: &noted{told: told}, node: fmt.Sprintf("n%d", i), told: make(chan struct{}, 1)}
		go a.follow(ctx)
	}
	within(t, "agents", agents, changes, told, func(i int) {
		put := protocol.Entry{Key: protocol.BlockKey(pool.ID{Family: 4, Index: uint32(i)}), Owner: protocol.Owner{Node: "far", Nonce: fmt.Sprint(i)}}
		if _, err := stores[0].Do(ctx, protocol.Request{Verb: protocol.Claim, Put: &put}); err != nil {
			t.Fatal(err)
		}
	})
}

// within makes changes one after the other, of each of which all are told, and wants 99 of 100 to know of one within a second.
func within(t *testing.T, who string, many, changes int, told <-chan time.Time, change func(i int)) {
	t.Helper()
	var took []time.Duration
	for i := range changes {
		began := time.Now()
		change(i)
		for range many {
			at := <-told
			if i > 0 { // by then all listen
				took = append(took, at.Sub(began))
			}
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d %s, %d changes: half after %v, p99 %v, all %v", many, who, changes, took[len(took)/2], p99, took[len(took)-1])
	if p99 > slack.Of(time.Second) {
		t.Errorf("p99 is %v", p99)
	}
}
