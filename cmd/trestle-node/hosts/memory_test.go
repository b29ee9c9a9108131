package hosts

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/test/nstest"
)

// An agent that has routes to ten thousand hosts' blocks takes 60 MB at the most.
func TestMemory(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		hosts := 1000
		if os.Getenv("TRESTLE_LONG") != "" {
			hosts = 10000
		}
		w := newWorld(t, map[string]any{"reach": "direct", "pool": map[string]any{"cidrs": []string{"10.64.0.0/12"}, "blockSize": map[string]int{"ipv4": 26}}})
		h := w.host("h1", "sw0", "", []string{"192.0.2.1/24", "172.16.255.254/16"})
		h.node("init")
		w.claims(hosts)
		h.start()
		w.until("all have routes", func() error {
			if said := strings.Join(h.heard(0), "\n"); !strings.Contains(said, fmt.Sprintf("%d come", hosts)) {
				return fmt.Errorf("it said only\n%s", said)
			}
			return nil
		})
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.agent.Process.Pid))
		must(t, err)
		var kilobytes int
		_, after, _ := strings.Cut(string(status), "VmHWM:")
		_, err = fmt.Sscan(after, &kilobytes)
		must(t, err)
		t.Logf("%d hosts: %d MB at the most", hosts, kilobytes>>10)
		if kilobytes > 60<<10 {
			t.Errorf("%d MB", kilobytes>>10)
		}
	})
}

// put writes a key of the store as a stranger does.
func (w *world) put(key, value string) {
	w.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://192.0.2.254:2379"}, Logger: zap.NewNop()})
	must(w.t, err)
	defer client.Close()
	_, err = client.Put(context.Background(), key, value)
	must(w.t, err)
}

// claims has so many hosts claim a block each.
func (w *world) claims(hosts int) {
	w.t.Helper()
	s, err := etcd.Dial(etcd.Config{Endpoints: []string{"http://192.0.2.254:2379"}, Prefix: "/cni", Network: "pods", Timeout: time.Minute})
	must(w.t, err)
	defer s.Close()
	var all sync.WaitGroup
	for part := range 16 {
		all.Go(func() {
			for i := part; i < hosts; i += 16 {
				owner := protocol.Owner{Node: fmt.Sprintf("far%d", i), Nonce: fmt.Sprintf("%032x", i), Via: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})}}
				put := protocol.Entry{Key: protocol.BlockKey(pool.ID{Family: 4, Index: uint32(i)}), Owner: owner}
				if _, err := s.Do(context.Background(), protocol.Request{Verb: protocol.Claim, Put: &put}); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
