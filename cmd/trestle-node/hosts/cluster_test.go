package hosts

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube/apitest"
	"github.com/trestle-cni/trestle/test/nstest"
)

// The only CNI of a cluster: Nodes' CIDRs become what containers get, each node has its list when it has a network, and containers of all answer each other's. Then
// the API server is gone, and more containers come; and a Node is deleted, whose host hands out nothing more, and to whom no way leads.
func TestCluster(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, nil)
		api := apitest.Start(t, "192.0.2.254:6443")
		must(t, os.WriteFile(filepath.Join(w.dir, "kubeconfig"), []byte(api.Kubeconfig()), 0o600))
		w.lists = true
		w.conf = map[string]any{"source": "kubernetes", "kubeconfig": filepath.Join(w.dir, "kubeconfig"), "clusterCIDRs": []string{"10.244.0.0/16", "fd44::/48"}, "reach": "auto", "via": []string{}}
		w.serve("outside")
		for i, name := range []string{"h1", "h2", "h3"} {
			n := string(rune('1' + i))
			h := w.host(name, "sw0", "", []string{"192.0.2." + n + "/24", "2001:db8::" + n + "/64"}, name+"-a", name+"-b")
			h.start()
			api.Put(name, "10.244."+n+".0/24 fd44:0:0:"+n+"::/64", "192.0.2."+n, "2001:db8::"+n)
		}
		var pods []pod
		began := time.Now()
		for _, h := range w.hosts {
			w.until(h.name+" has a network", h.says("the runtime has the network's list"))
			pods = append(pods, h.add(h.name+"-a"))
		}
		w.until("all reach all", func() error { return w.mesh(pods...) })
		t.Logf("from three agents begun to all containers reached: %v", time.Since(began).Round(time.Millisecond)) // 3 s is the goal, at rest
		if addr := pods[1].addrs[0].String(); !strings.HasPrefix(addr, "10.244.2.") {
			t.Errorf("a container of h2 has %s", addr)
		}

		one := w.hosts[0]
		seen := func() string {
			return one.routes() + one.do("cat", one.lists()+"/pods.conflist", "/run/cni/blocks/pods.json")
		}
		before := seen()
		must(t, one.agent.Process.Signal(unix.SIGTERM))
		<-one.ended
		if err := one.agent.Wait(); err != nil || seen() != before {
			t.Errorf("an agent that was told to stop: %v\n%s\nbefore:\n%s", err, seen(), before)
		}
		one.start()

		api.Remove("h3")
		w.until("h3 hands out nothing", w.hosts[2].says("the cluster has no Node of that name"))
		if out, err := w.hosts[2].command(program("cnitool"), "add", "pods", "/run/netns/h3-b").CombinedOutput(); err == nil || !strings.Contains(string(out), "no range") {
			t.Errorf("a host whose Node was deleted: %v, %s", err, out)
		}
		w.until("its routes go", func() error {
			if strings.Contains(one.routes(), "10.244.3.0") {
				return errors.New(one.routes())
			}
			return nil
		})

		api.Stop()
		pods = append(pods[:2], one.add("h1-b"), w.hosts[1].add("h2-b"))
		must(t, w.mesh(pods...))
	})
}

// says is nil when the host's agent has said so.
func (h *host) says(text string) func() error {
	return func() error { return h.saidAfter(new(int), text) }
}

// saidAfter is nil when the agent has said so after so many lines, which it counts on then.
func (h *host) saidAfter(lines *int, text string) error {
	for i, line := range h.heard(*lines) {
		if strings.Contains(line, text) {
			*lines += i + 1
			return nil
		}
	}
	return errors.New("it has not said: " + text)
}
