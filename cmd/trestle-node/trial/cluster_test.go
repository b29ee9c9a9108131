// Package trial lets hosts share a pool through real etcd processes that are killed and stopped, with an oracle of what is open where. What it shows is that
// the client, the ledger and the protocol together do what package model holds of the protocol; that no fault is seen in a while proves little by itself.
package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
)

// member is an etcd process.
type member struct {
	args []string
	cmd  *exec.Cmd
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

func startCluster(t *testing.T, size int) *cluster {
	t.Helper()
	c := &cluster{t: t}
	addresses := ports(t, 2*size)
	var peers []string
	for i := range size {
		peers = append(peers, fmt.Sprintf("m%d=http://%s", i, addresses[size+i]))
		c.endpoints = append(c.endpoints, "http://"+addresses[i])
	}
	for i := range size {
		c.members = append(c.members, &member{args: []string{
			"--name", fmt.Sprintf("m%d", i), "--data-dir", t.TempDir(), "--initial-cluster", strings.Join(peers, ","),
			"--listen-client-urls", c.endpoints[i], "--advertise-client-urls", c.endpoints[i],
			"--listen-peer-urls", "http://" + addresses[size+i], "--initial-advertise-peer-urls", "http://" + addresses[size+i],
		}})
		c.members[i].start(t)
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
	m.cmd = exec.Command("etcd", m.args...)
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

// trouble kills and stops members, one at a time, until ctx ends, and says how often.
func (c *cluster) trouble(ctx context.Context) (faults int) {
	for ctx.Err() == nil {
		m := c.members[rand.N(len(c.members))]
		faults++
		if rand.N(2) == 0 {
			m.kill()
			wait(ctx, rand.N(time.Second))
			m.start(c.t)
		} else {
			_ = m.cmd.Process.Signal(unix.SIGSTOP)
			wait(ctx, rand.N(2*time.Second))
			_ = m.cmd.Process.Signal(unix.SIGCONT)
		}
		wait(ctx, rand.N(2*time.Second))
	}
	return faults
}

func wait(ctx context.Context, d time.Duration) {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-ctx.Done()
}
