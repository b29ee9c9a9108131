package hosts

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// three is a pool with a block for each of three hosts, and no more.
var three = map[string]any{"spare": 0, "pool": map[string]any{
	"cidrs":     []string{"10.64.0.0/26", "10.64.0.64/26", "10.64.0.128/26", "fd64::/64", "fd64:0:0:1::/64", "fd64:0:0:2::/64"},
	"blockSize": map[string]int{"ipv4": 26, "ipv6": 64},
}}

func with(conf map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range conf {
		out[k] = v
	}
	return out
}

const conflist = `{"cniVersion": "1.1.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods0", "isDefaultGateway": true, "ipMasq": true,
	"ipMasqExclude": ["10.64.0.0/24", "fd64::/48"], "ipam": {"type": "host-local", "rangesFrom": "/run/cni/blocks/pods.json"}}]}`

// begin defines the pool, starts all agents and gives each host a container, a, b, c.
func (w *world) begin() (pods []pod) {
	w.t.Helper()
	w.serve("outside")
	w.hosts[0].node("init")
	for _, h := range w.hosts {
		h.start()
	}
	for _, h := range w.hosts {
		pods = append(pods, h.first(h.name+"-a"))
	}
	return pods
}

// first attaches a container as soon as the host has blocks.
func (h *host) first(name string) (p pod) {
	h.w.t.Helper()
	if !h.w.lists {
		h.conflist(conflist)
	}
	h.w.until(h.name+" has blocks", func() error {
		if n := strings.Count(strings.Join(h.heard(0), "\n"), "claimed block"); n < 2 {
			return fmt.Errorf("%d of 2", n)
		}
		_, err := os.Stat(filepath.Join(h.lists(), "pods.conflist"))
		return err
	})
	return h.add(name)
}

// routes are what is there of ours, on the host.
func (h *host) routes() string {
	h.w.t.Helper()
	return h.do("ip", "route", "show", "proto", "118") + h.do("ip", "-6", "route", "show", "proto", "118")
}

// Containers of three hosts on one link reach each other directly, and the outside sees their hosts. An agent that is killed and begins anew changes nothing.
// A host that dies and is forgotten loses its routes, its blocks go to another, and are reached there. The store is gone meanwhile, and comes back.
func TestDirect(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, with(three, "reach", "direct"))
		for i, name := range []string{"h1", "h2", "h3"} {
			w.host(name, "sw0", "", []string{fmt.Sprintf("192.0.2.%d/24", i+1), fmt.Sprintf("2001:db8::%d/64", i+1)}, name+"-a", name+"-b")
		}
		one, two, dies := w.hosts[0], w.hosts[1], w.hosts[2]
		pods := w.begin()
		w.until("all reach all", func() error { return w.mesh(pods...) })
		before, lines := one.routes(), len(one.heard(0))
		if n := strings.Count(before, "\n"); n != 4 || strings.Contains(before, "vxlan") {
			t.Errorf("routes:\n%s", before)
		}

		one.stop()
		w.stopStore()
		one.start()
		pods = append(pods, one.add("h1-b"), two.add("h2-b"))
		must(t, w.mesh(pods...))
		w.startStore()

		blocks := w.lose(dies)
		w.until("its routes go", func() error {
			if got := one.routes(); strings.Count(got, "\n") != 2 {
				return fmt.Errorf("there is\n%s", got)
			}
			return nil
		})
		for _, line := range one.heard(lines) {
			if strings.Contains(line, "+route") {
				t.Errorf("the agent that began anew: %s", line)
			}
		}
		heir := w.host("h4", "sw0", "", []string{"192.0.2.4/24", "2001:db8::4/64"}, "h4-a")
		heir.start()
		inherits := heir.first("h4-a")
		if !strings.Contains(heir.node("list"), blocks[0]) || inherits.addrs[0] != pods[2].addrs[0] {
			t.Errorf("h4 has %v:\n%s", inherits.addrs, heir.node("list"))
		}
		w.until("the heir is reached", func() error { return w.mesh(pods[0], pods[1], inherits) })
	})
}

// lose ends a host, and says so; it returns what blocks it had.
func (w *world) lose(h *host) (blocks []string) {
	w.t.Helper()
	list := w.hosts[0].list()
	h.stop()
	h.do("ip", "link", "set", "eth0", "down")
	for _, b := range list.Blocks {
		if b.Node == h.name {
			blocks = append(blocks, b.ID.String())
		}
	}
	for _, n := range list.Nodes {
		if n.Name == h.name {
			w.hosts[1].node("forget", h.name, "--boot", n.Boot)
		}
	}
	return blocks
}

// Two hosts are on a link, and the third behind a router that knows no container: what cannot go directly goes through the tunnel, and what the host itself
// sends, too. The tunnel is removed behind the agent's back, and is there again.
func TestTunnel(t *testing.T) {
	for name, order := range map[string][]int{"over IPv4": {0, 1}, "over IPv6": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				w := newWorld(t, with(three, "reach", "auto"))
				w.lists = true
				pick := func(addrs ...string) []string { return []string{addrs[order[0]], addrs[order[1]]} }
				w.host("h1", "sw0", "192.0.2.253 2001:db8::253", pick("192.0.2.1/24", "2001:db8::1/64"), "h1-a")
				w.host("h2", "sw0", "192.0.2.253 2001:db8::253", pick("192.0.2.2/24", "2001:db8::2/64"), "h2-a")
				far := w.host("h3", "sw1", "198.51.100.253 2001:db8:1::253", pick("198.51.100.3/24", "2001:db8:1::3/64"), "h3-a")
				w.run("ip", "-n", "outside", "route", "add", "198.51.100.0/24", "via", "192.0.2.253")
				w.run("ip", "-n", "outside", "route", "add", "2001:db8:1::/64", "via", "2001:db8::253")
				pods := w.begin()
				all := func() error {
					for _, addr := range pods[0].addrs { // the host itself, as its end of the tunnel
						if seen, err := call("h3", addr); err != nil || !strings.HasPrefix(seen, "10.64.0.") && !strings.HasPrefix(seen, "fd64:") {
							return fmt.Errorf("h3 itself to %s: as %q: %w", addr, seen, err)
						}
					}
					return w.mesh(pods...)
				}
				w.until("all reach all", all)
				if got := w.hosts[0].routes(); strings.Count(got, "dev vxlan.118") != 2 || strings.Count(got, "dev eth0") != 2 {
					t.Errorf("routes of h1:\n%s", got)
				}
				if got := w.run("ip", "-n", "h3-a", "link", "show", "eth0"); !strings.Contains(got, fmt.Sprintf(" mtu %d ", 1450-20*order[0])) {
					t.Errorf("a container's link: %s", got)
				}
				far.do("ip", "link", "del", "vxlan.118")
				w.until("all reach all again", all)
			})
		})
	}
}

// Hosts, store and containers have IPv6 and nothing else: near ones are reached directly, a far one through the tunnel, and all kernels are as they are to be.
func TestIPv6Alone(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, map[string]any{"reach": "auto", "spare": 0, "endpoints": []string{"http://[2001:db8::254]:2379"},
			"pool": map[string]any{"cidrs": []string{"fd64::/56"}, "blockSize": map[string]int{"ipv6": 64}}})
		w.lists = true
		w.serve("outside")
		w.run("ip", "-n", "outside", "route", "add", "2001:db8:1::/64", "via", "2001:db8::253")
		for _, h := range []struct{ name, to, gateway, addr string }{
			{"h1", "sw0", "2001:db8::253", "2001:db8::1/64"}, {"h2", "sw0", "2001:db8::253", "2001:db8::2/64"}, {"h3", "sw1", "2001:db8:1::253", "2001:db8:1::3/64"},
		} {
			w.host(h.name, h.to, h.gateway, []string{h.addr}, h.name+"-a")
		}
		w.hosts[0].node("init")
		var pods []pod
		for _, h := range w.hosts {
			h.start()
			w.until(h.name+" has a network", h.says("the runtime has the network's list"))
			pods = append(pods, h.add(h.name+"-a"))
		}
		w.agree(w.hosts, pods)
		for _, from := range pods {
			for _, to := range pods {
				must(t, reaches(from.name, to.addrs[0], from.addrs...))
			}
			must(t, reaches(from.name, netip.MustParseAddr("2001:db8::100"), from.host.via...))
		}
	})
}

// The demo ends well.
func TestDemo(t *testing.T) {
	cmd := exec.Command("../../../test/demo/cluster")
	bin := os.Getenv(binVar)
	cmd.Env = append(os.Environ(), "CNI_PATH="+bin, "PATH="+bin+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
