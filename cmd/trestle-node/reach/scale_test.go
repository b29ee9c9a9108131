package reach

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// many are hosts on the stage's link, a block each.
func many(n int) (blocks []agent.Neighbour) {
	for i := range n {
		via := netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 10), byte(i >> 2), byte(i << 6)}), 26)
		blocks = append(blocks, agent.Neighbour{Block: block, Node: fmt.Sprintf("far%d", i), Epoch: int64(i + 1), Via: []netip.Addr{via}})
	}
	return blocks
}

// scale is how many hosts there are: few in a short run, which shows that it works and not how quick it is.
func scale() (hosts, times int) {
	if os.Getenv("TRESTLE_LONG") == "" {
		return 1000, 1
	}
	return 10000, 3
}

// From a cold start all routes are there in the time that the kernel needs for them in one batch of iproute2's, and a third at the most; then what
// somebody removes is back within 100 ms, however many there are, and without the kernel being asked what it has.
func TestManyRoutes(t *testing.T) {
	for _, mode := range []Mode{Direct, VXLAN} {
		t.Run(string(mode), func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				stage(t)
				script(t, "ip address add 172.16.255.254/16 dev eth0")
				n, times := scale()
				blocks := many(n)
				var ours, kernels []time.Duration
				for range times {
					kernels = append(kernels, batch(t, mode, blocks))
					ours = append(ours, cold(t, mode, blocks))
				}
				slices.Sort(ours)
				slices.Sort(kernels)
				mine, his := ours[times/2], kernels[times/2]
				t.Logf("%d hosts, %s: %v; iproute2's batch %v: %.2f of it", n, mode, mine, his, float64(mine)/float64(his))
				if times > 1 && mine > his*13/10 {
					t.Errorf("%v is more than 1.3 of %v", mine, his)
				}
			})
		})
	}
}

// cold is how long the first Set takes, less what follows: a second, which changes nothing, and a repair among so many.
func cold(t *testing.T, mode Mode, blocks []agent.Neighbour) time.Duration {
	t.Helper()
	c := conf(mode)
	c.Log = func(string, ...any) {}
	began := time.Now()
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	set(t, r, blocks)
	took := time.Since(began)
	began = time.Now()
	set(t, r, blocks)
	again := time.Since(began)
	t.Logf("cold %v, again %v", took, again)
	lose(t, r, blocks)
	stop()
	<-ended
	clear0(t)
	return took
}

// lose has somebody remove a route, and what else the block has, and holds how long it is away.
func lose(t *testing.T, r *Reach, blocks []agent.Neighbour) {
	t.Helper()
	b, read := blocks[7], 0
	lines := slices.Repeat([]string{"ip route del " + b.Block.String()}, 3)
	if r.Mode == VXLAN {
		lines = append(lines, "ip neigh del "+b.Block.Addr().String()+" dev vxlan.118", "bridge fdb del "+r.end(b.Node).String()+" dev vxlan.118 dst "+b.Via[0].String())
	}
	for i, line := range lines {
		back, began := comes(t, b.Block.Addr(), b.Via[0]), time.Now()
		do(t, line)
		select {
		case <-back:
		case <-time.After(slack.Of(5 * time.Second)):
			t.Fatalf("%s: is not back:\n%s", line, do(t, "ip route show "+b.Block.String()))
		}
		took := time.Since(began) // and with it what the command takes
		t.Logf("%s: is back after %v", line, took)
		if took > slack.Of(100*time.Millisecond) {
			t.Errorf("%s: is back after %v", line, took)
		}
		if i != 1 {
			continue
		}
		set(t, r, blocks) // what the cold start made due was heard before these two ends of a route, the loss of events with it, and is done
		r.mutex.Lock()
		r.kernel.Bound(func(bytes int) error { read += bytes; return nil })
		r.mutex.Unlock()
		if r.Mode == VXLAN { // as the kernel does by itself, a second or two after the link is up
			do(t, "ip address add fe80::77/64 dev vxlan.118 nodad")
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if read != 0 {
		t.Errorf("the kernel was asked for %d bytes", read)
	}
}

// comes says when something of the block, or its host's end, has gone and is back.
func comes(t *testing.T, block, host netip.Addr) (back chan struct{}) {
	t.Helper()
	heard, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	gone := false
	back = make(chan struct{})
	go heard.each(func(e event) {
		if e.route.Dst.Addr() != block && e.near.Hop.Addr != block && e.near.End.Host != host {
			return
		}
		switch {
		case e.kind == unix.RTM_DELROUTE || e.kind == unix.RTM_DELNEIGH:
			gone = true
		case gone && (e.kind == unix.RTM_NEWROUTE || e.near.Hop.MAC != MAC{} || e.near.End != End{}):
			gone = false
			close(back)
			heard.Close()
		}
	})
	return back
}

// clear0 leaves nothing of ours.
func clear0(t *testing.T) {
	t.Helper()
	do(t, "ip route flush proto 118")
	_ = exec.Command("ip", "link", "del", "vxlan.118").Run()
}

// batch is how long the kernel has the same from a file, by ip and bridge, a process each.
func batch(t *testing.T, mode Mode, blocks []agent.Neighbour) time.Duration {
	t.Helper()
	var lines, ends strings.Builder
	for _, b := range blocks {
		if mode == Direct {
			fmt.Fprintf(&lines, "route add %s via %s dev eth0 proto 118\n", b.Block, b.Via[0])
			continue
		}
		mac := conf(mode).end(b.Node)
		fmt.Fprintf(&ends, "fdb add %s dev vxlan.118 dst %s self permanent\n", mac, b.Via[0])
		fmt.Fprintf(&lines, "neigh add %s lladdr %s dev vxlan.118 nud permanent\nroute add %s via %s dev vxlan.118 onlink proto 118\n", b.Block.Addr(), mac, b.Block, b.Block.Addr())
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"ip": lines.String(), "bridge": ends.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if mode == VXLAN {
		script(t, "ip link add vxlan.118 type vxlan id 118 local 192.0.2.1 dstport 4789 nolearning\nip link set vxlan.118 up\nbridge -batch "+dir+"/bridge")
	}
	do(t, "ip -batch "+dir+"/ip")
	took := time.Since(began)
	clear0(t)
	return took
}
