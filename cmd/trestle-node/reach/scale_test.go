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

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/test/nstest"
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

// From a cold start all routes are there in the time that the kernel needs for them in one batch of iproute2's, and a third at the most; then one that
// somebody removes is back within 100 ms.
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
	heard, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	back := make(chan time.Time, 100)
	go heard.each(func(e event) {
		if e.kind == 24 && e.route.Dst == blocks[7].Block { // RTM_NEWROUTE
			back <- time.Now()
		}
	})
	began = time.Now()
	do(t, "ip route del "+blocks[7].Block.String())
	t.Logf("cold %v, again %v, one that was removed is back %v after ip began", took, again, (<-back).Sub(began))
	heard.Close()
	stop()
	<-ended
	clear0(t)
	return took
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
