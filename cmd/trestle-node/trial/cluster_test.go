// Package trial lets hosts share a pool through real etcd processes that are killed and stopped, with an oracle of what is open where. What it shows is that
// the client, the ledger and the protocol together do what package model holds of the protocol; that no fault is seen in a while proves little by itself.
package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/test/nstest"
)

// member is an etcd process.
type member struct {
	args  []string
	cmd   *exec.Cmd
	links []string // at the switches, by which it is reached: by its peers, by its clients. None: it is on loopback
}

// cluster is three of them, on loopback.
type cluster struct {
	t         *testing.T
	members   []*member
	endpoints []string
}

// ports are free ones; they stay so until somebody else is quicker.
func ports(t *testing.T, n int) (list []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

// startCluster is so many members on loopback.
func startCluster(t *testing.T, size int) *cluster {
	t.Helper()
	at := ports(t, 2*size)
	members := make([]*member, size)
	for i := range members {
		members[i] = &member{args: []string{"etcd"}}
	}
	return begin(t, members, at[:size], at[size:])
}

// startApart is so many members in network namespaces, each on a switch with its peers and on another with its clients, who are here. It wants a host of its own.
func startApart(t *testing.T, size int) *cluster {
	t.Helper()
	var members []*member
	var clients, peers []string
	ip(t, "link add peers type bridge", "link add clients type bridge", "address add 10.1.0.254/24 dev clients", "link set peers up", "link set clients up")
	for i := range size {
		name := fmt.Sprintf("m%d", i)
		nstest.Namespace(t, name)
		m := &member{args: []string{"nsenter", "--net=/run/netns/" + name, "etcd"}, links: []string{name + "p", name + "c"}}
		for side, to := range []string{"peers", "clients"} {
			ip(t, fmt.Sprintf("link add %s type veth peer name %s netns %s", m.links[side], to, name), fmt.Sprintf("link set %s master %s up", m.links[side], to),
				fmt.Sprintf("-n %s address add 10.%d.0.%d/24 dev %s", name, 2-side, i+1, to), fmt.Sprintf("-n %s link set %s up", name, to))
		}
		members = append(members, m)
		clients, peers = append(clients, fmt.Sprintf("10.1.0.%d:2379", i+1)), append(peers, fmt.Sprintf("10.2.0.%d:2380", i+1))
	}
	return begin(t, members, clients, peers)
}

func ip(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", line, err, out)
		}
	}
}

// begin starts the members, which listen to clients and to each other at these addresses.
func begin(t *testing.T, members []*member, clients, peers []string) *cluster {
	t.Helper()
	c := &cluster{t: t, members: members}
	var all []string
	for i := range members {
		all = append(all, fmt.Sprintf("m%d=http://%s", i, peers[i]))
		c.endpoints = append(c.endpoints, "http://"+clients[i])
	}
	for i, m := range members {
		m.args = append(m.args,
			"--name", fmt.Sprintf("m%d", i), "--data-dir", t.TempDir(), "--initial-cluster", strings.Join(all, ","),
			"--listen-client-urls", c.endpoints[i], "--advertise-client-urls", c.endpoints[i],
			"--listen-peer-urls", "http://"+peers[i], "--initial-advertise-peer-urls", "http://"+peers[i])
		m.start(t)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			m.kill()
		}
	})
	return c
}

func (m *member) start(t *testing.T) {
	t.Helper()
	m.cmd = exec.Command(m.args[0], m.args[1:]...)
	m.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	m.cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64")
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("etcd: %v (on Debian: apt-get install etcd-server)", err)
	}
}

func (m *member) kill() {
	_ = m.cmd.Process.Signal(unix.SIGCONT)
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

// dial is a store of the network; each has a client of its own.
func (c *cluster) dial(network string, timeout time.Duration) *etcd.Store {
	c.t.Helper()
	s, err := etcd.Dial(etcd.Config{Endpoints: c.endpoints, Prefix: "/cni", Network: network, Timeout: timeout})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

// trouble kills and stops members, and cuts their links, one at a time, until ctx ends, and says how often.
func (c *cluster) trouble(ctx context.Context) (faults int) {
	for ctx.Err() == nil {
		m := c.members[rand.N(len(c.members))]
		faults++
		switch kinds := 2 + len(m.links); rand.N(kinds) {
		case 0:
			m.kill()
			wait(ctx, rand.N(time.Second))
			m.start(c.t)
		case 1:
			_ = m.cmd.Process.Signal(unix.SIGSTOP)
			wait(ctx, rand.N(2*time.Second))
			_ = m.cmd.Process.Signal(unix.SIGCONT)
		default:
			c.cut(ctx, m)
		}
		wait(ctx, rand.N(2*time.Second))
	}
	return faults
}

// replace has one member after the other removed, its disk emptied, and added anew, until ctx ends, and says how often. etcd refuses that while not all of them are
// well, so it is tried until it does not.
func (c *cluster) replace(ctx context.Context) (times int) {
	client, err := clientv3.New(clientv3.Config{Endpoints: c.endpoints, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	for ; ; times++ {
		m := c.members[times%len(c.members)]
		if !insist(ctx, func(ctx context.Context) error { return m.leaves(ctx, client) }) {
			break
		}
		m.kill()
		if err := os.RemoveAll(m.value("--data-dir")); err != nil {
			c.t.Error(err)
		}
		if !insist(ctx, func(ctx context.Context) error { return m.joins(ctx, client) }) {
			break
		}
		if !slices.Contains(m.args, "existing") {
			m.args = append(m.args, "--initial-cluster-state", "existing")
		}
		m.start(c.t)
	}
	if times == 0 {
		c.t.Error("no member was replaced: the run shows nothing")
	}
	return times
}

// insist tries until it succeeds; false where ctx ended first.
func insist(ctx context.Context, try func(context.Context) error) bool {
	for ctx.Err() == nil {
		once, stop := context.WithTimeout(ctx, 2*time.Second)
		err := try(once)
		stop()
		if err == nil {
			return true
		}
		wait(ctx, 100*time.Millisecond)
	}
	return false
}

// leaves has the member removed from its cluster, if it is in it.
func (m *member) leaves(ctx context.Context, client *clientv3.Client) error {
	all, err := client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, other := range all.Members {
		if slices.Contains(other.PeerURLs, m.value("--initial-advertise-peer-urls")) {
			_, err := client.MemberRemove(ctx, other.ID)
			return err
		}
	}
	return nil
}

// joins has the member added, if it is not: an answer may have been lost.
func (m *member) joins(ctx context.Context, client *clientv3.Client) error {
	_, err := client.MemberAdd(ctx, []string{m.value("--initial-advertise-peer-urls")})
	if errors.Is(err, rpctypes.ErrPeerURLExist) {
		return nil
	}
	return err
}

// value is what the member's flag says.
func (m *member) value(flag string) string { return m.args[slices.Index(m.args, flag)+1] }

// cut cuts a member off from its peers, from its clients or from both: what is said is lost without a word.
func (c *cluster) cut(ctx context.Context, m *member) {
	links := [][]string{m.links[:1], m.links[1:], m.links}[rand.N(3)]
	for _, link := range links {
		ip(c.t, "link set "+link+" down")
	}
	wait(ctx, rand.N(3*time.Second))
	for _, link := range links {
		ip(c.t, "link set "+link+" up")
	}
}

func wait(ctx context.Context, d time.Duration) {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-ctx.Done()
}
