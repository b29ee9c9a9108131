package hosts

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// From a claim to the route in the kernel of a host with its agent, while hundreds of others hear of it, too. Those have no kernels.
func TestRouteAmongManyAgents(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		others, changes := 50, 20
		if os.Getenv("TRESTLE_LONG") != "" {
			others, changes = 499, 100
		}
		w := newWorld(t, map[string]any{"reach": "direct", "pool": map[string]any{"cidrs": []string{"10.64.0.0/12"}, "blockSize": map[string]int{"ipv4": 26}}})
		h := w.host("h1", "sw0", "", []string{"192.0.2.1/24", "172.16.255.254/16"})
		h.node("init")
		h.start()
		w.until("it has a block", h.says(`"msg":"well"`))
		conf := etcd.Config{Endpoints: []string{"http://192.0.2.254:2379"}, Prefix: "/cni", Network: "pods", Timeout: slack.Of(20 * time.Second)}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		heard := make(chan protocol.Entry, others*changes)
		var store *etcd.Store
		for i := range others {
			if i%32 == 0 {
				client, err := clientv3.New(clientv3.Config{Endpoints: conf.Endpoints, Logger: zap.NewNop()})
				must(t, err)
				defer client.Close()
				store = etcd.Over(client, conf)
			}
			go func(s *etcd.Store) {
				_ = s.Watch(ctx, fmt.Sprintf("n%d", i), true, 0, func(e protocol.Entry) { heard <- e })
			}(store)
		}
		routes := h.monitor()
		var took []time.Duration
		for i := range changes {
			addr := netip.AddrFrom4([4]byte{172, 16, 1, byte(i)})
			id := pool.ID{Family: 4, Index: uint32(5000 + i)}
			put := protocol.Entry{Key: protocol.BlockKey(id), Owner: protocol.Owner{Node: fmt.Sprintf("far%d", i), Nonce: fmt.Sprint(i), Via: []netip.Addr{addr}}}
			began := time.Now()
			_, err := store.Do(ctx, protocol.Request{Verb: protocol.Claim, Put: &put})
			must(t, err)
			for line := range routes {
				if strings.Contains(line, "via "+addr.String()+" ") {
					break
				}
			}
			took = append(took, time.Since(began))
			for n := 0; n < others; {
				if e := <-heard; e.Key == put.Key {
					n++
				}
			}
		}
		slices.Sort(took)
		p99 := took[len(took)*99/100]
		t.Logf("%d agents, %d changes: a route after %v, p99 %v", others+1, changes, took[len(took)/2], p99)
		if p99 > slack.Of(time.Second) {
			t.Errorf("p99 is %v", p99)
		}
	})
}

// monitor are the routes that come on the host.
func (h *host) monitor() <-chan string {
	h.w.t.Helper()
	cmd, lines := h.command("ip", "monitor", "route"), make(chan string, 1000)
	out, err := cmd.StdoutPipe()
	must(h.w.t, err)
	must(h.w.t, start(cmd))
	h.w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// An ADD of host-local that reads its ranges from a file takes as long as one that has them in its configuration, and a twentieth more at the most.
func TestRangesFromCosts(t *testing.T) {
	times := 100
	if os.Getenv("TRESTLE_LONG") != "" {
		times = 3000
	}
	dir := t.TempDir()
	const ranges = `[[{"subnet": "10.1.0.0/16", "gateway": "10.1.0.1"}]]`
	must(t, os.WriteFile(dir+"/ranges", []byte(`{"ranges": `+ranges+`}`), 0o600))
	var here, there []time.Duration
	for range times {
		here = append(here, allot(t, dir, "here", `"ranges": `+ranges))
		there = append(there, allot(t, dir, "there", `"rangesFrom": "`+dir+`/ranges"`))
	}
	slices.Sort(here)
	slices.Sort(there)
	a, b := here[times/2], there[times/2]
	t.Logf("%d of each by turns: %v with ranges, %v with rangesFrom: %.3f of it", times, a, b, float64(b)/float64(a))
	if times > 100 && b > a*105/100 {
		t.Errorf("%v is more than 1.05 of %v", b, a)
	}
}

// allot has host-local hand out an address, says how long that took, and lets it go.
func allot(t *testing.T, dir, network, ipam string) time.Duration {
	t.Helper()
	call := func(verb string) time.Duration {
		cmd := exec.Command(program("host-local"))
		cmd.Stdin = strings.NewReader(fmt.Sprintf(`{"cniVersion": "1.1.0", "name": %q, "type": "bridge", "ipam": {"type": "host-local", "dataDir": %q, %s}}`, network, dir, ipam))
		cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=c1", "CNI_NETNS=/var/run/netns/none", "CNI_IFNAME=eth0", "CNI_PATH=" + os.Getenv(binVar)}
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(began)
		if err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
		return took
	}
	defer call("DEL")
	return call("ADD")
}
