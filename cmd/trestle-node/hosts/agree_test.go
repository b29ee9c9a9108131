package hosts

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// apart is three hosts, of which the third is behind a router: others are reached directly by some, and through the tunnel by others.
func apart(w *world, pods int) []*host {
	name := func(host string, n int) string { return fmt.Sprintf("%s-%c", host, 'a'+n) }
	names := func(host string) (list []string) {
		for n := range pods {
			list = append(list, name(host, n))
		}
		return list
	}
	w.host("h1", "sw0", "192.0.2.253 2001:db8::253", []string{"192.0.2.1/24", "2001:db8::1/64"}, names("h1")...)
	w.host("h2", "sw0", "192.0.2.253 2001:db8::253", []string{"192.0.2.2/24", "2001:db8::2/64"}, names("h2")...)
	w.host("h3", "sw1", "198.51.100.253 2001:db8:1::253", []string{"198.51.100.3/24", "2001:db8:1::3/64"}, names("h3")...)
	w.run("ip", "-n", "outside", "route", "add", "198.51.100.0/24", "via", "192.0.2.253")
	w.run("ip", "-n", "outside", "route", "add", "2001:db8:1::/64", "via", "2001:db8::253")
	return w.hosts
}

// The oracle sees what is wrong, whatever it is and on whichever host; agents, who would mend it, are stopped.
func TestOracleSees(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, with(three, "reach", "auto"))
		hosts := apart(w, 1)
		pods := w.begin()
		w.agree(hosts, pods)
		for _, h := range hosts {
			h.stop()
		}
		one, far := hosts[0], hosts[2]
		block := func(h *host) string {
			for _, b := range one.list().Blocks {
				if b.Node == h.name && b.Prefix.Addr().Is4() {
					return b.Prefix.String()
				}
			}
			t.Fatalf("%s has no block", h.name)
			return ""
		}
		first := func(cidr string) string { return netip.MustParsePrefix(cidr).Addr().String() }
		near, beyond := block(hosts[1]), block(far)
		a, b := pods[0].addrs[0].String(), pods[1].addrs[0].String()
		key, said := "/cni/pods/block/4/", ""
		for _, c := range []struct{ what, on, line, says string }{
			{"a route is gone", "h1", "ip route del " + near, "h1: route " + near + " via 192.0.2.2 dev eth0: is not so"},
			{"it leads elsewhere", "h1", "ip route add " + near + " via 192.0.2.9 proto 118", "h1: route " + near + " via 192.0.2.9 dev eth0: nobody wants that"},
			{"it leads through the tunnel", "h2", "ip route replace " + block(one) + " via " + first(block(one)) + " dev vxlan.118 onlink proto 118", "h2: route " + block(one) + " via " + first(block(one)) + " dev vxlan.118: nobody wants that"},
			{"one too many", "h2", "ip route add 10.70.0.0/26 via 192.0.2.9 proto 118", "h2: route 10.70.0.0/26 via 192.0.2.9 dev eth0: nobody wants that"},
			{"one of an address", "h2", "ip route add 10.70.0.7 via 192.0.2.9 proto 118", "h2: route 10.70.0.7/32 via 192.0.2.9 dev eth0: nobody wants that"},
			{"a route of IPv6 is gone", "h3", "ip -6 route flush proto 118", "dev vxlan.118: is not so"},
			{"another neighbour", "h1", "ip neigh replace " + first(beyond) + " lladdr 02:00:00:00:00:01 dev vxlan.118 nud permanent", "h1: neighbour " + first(beyond) + " is 02:00:00:00:00:01: nobody wants that"},
			{"no neighbour", "h2", "ip neigh del " + first(beyond) + " dev vxlan.118", "h2: neighbour " + first(beyond) + " is " + far.tunnel() + ": is not so"},
			{"another end", "h1", "bridge fdb replace " + far.tunnel() + " dev vxlan.118 dst 192.0.2.9", "h1: tunnel's end " + far.tunnel() + " at 192.0.2.9: nobody wants that"},
			{"an end that floods", "h2", "bridge fdb append 00:00:00:00:00:00 dev vxlan.118 dst 192.0.2.9", "h2: tunnel's end 00:00:00:00:00:00 at 192.0.2.9: nobody wants that"},
			{"an address twice", "h1", "ip -n h1-a address add " + b + "/26 dev eth0", "h1-a: has " + b + ", as h2-a"},
			{"an address of another's block", "h1", "true", "h1-a: has " + b + ", which is in no block of h1"},
			{"an address is gone", "h2", "ip -n h2-a address del " + b + "/26 dev eth0", "h2-a: has ["},
			{"nothing is masqueraded", "h1", "nft delete element inet trestle masq4 { " + a + " }", "h1: address " + a + " is masqueraded: is not so"},
			{"what nobody has is masqueraded", "h1", "nft add element inet trestle masq4 { 10.64.0.250 }", "h1: address 10.64.0.250 is masqueraded: nobody wants that"},
			{"the pool is masqueraded to", "h2", "nft flush set inet trestle direct4", "h2: address " + b + " is masqueraded to 10.64.0.0/26"},
			{"what nobody has is excepted", "h3", "nft add element inet trestle direct4 { 10.64.0.250 . 10.64.0.0/24 }", "h3: address 10.64.0.250 is excepted"},
			{"a reservation is gone", "h1", "rm /var/lib/cni/networks/pods/" + a, "h1: address " + a + " is reserved: is not so"},
			{"one of nobody's", "h1", "touch /var/lib/cni/networks/pods/10.64.0.251", "h1: address 10.64.0.251 is reserved: nobody wants that"},
			{"a gateway of another's block", "h3", "ip address add " + netip.MustParsePrefix(near).Addr().Next().String() + "/26 dev pods0", "h3: its bridge has " + netip.MustParsePrefix(near).Addr().Next().String()},
			{"another's block is handed out", "h1", "", "h1: hands out " + near + ": nobody wants that"},
			{"a block has moved", "h2", "", "h3: hands out " + beyond + ": nobody wants that"},
		} {
			if c.line != "true" && strings.Contains(said, c.says) {
				t.Errorf("%s: is said before", c.what)
			}
			switch {
			case c.line != "":
				w.named(c.on).do(strings.Fields(c.line)...)
			case c.on == "h1":
				one.spoil(t, "/run/cni/blocks/pods.json", `"subnet": "`+block(one)+`"`, `"subnet": "`+near+`"`)
			default:
				w.put(key+idOf(one.list(), beyond), `{"node": "h2", "claim": "planted"}`)
			}
			if said = strings.Join(w.oracle(hosts, pods), "\n"); !strings.Contains(said, c.says) {
				t.Errorf("%s: the oracle says\n%s\nand not %q", c.what, said, c.says)
			}
		}
	})
}

func idOf(l listing, prefix string) string {
	for _, b := range l.Blocks {
		if b.Prefix.String() == prefix {
			return b.ID.String()[2:]
		}
	}
	return ""
}

func (w *world) named(name string) *host {
	return w.hosts[slices.IndexFunc(w.hosts, func(h *host) bool { return h.name == name })]
}

// many is a pool of blocks that are soon full, soon claimed, and soon given back.
var many = map[string]any{"rest": 0, "spare": 1, "pool": map[string]any{"cidrs": []string{"10.64.0.0/24", "fd64::/120"}, "blockSize": map[string]int{"ipv4": 30, "ipv6": 126}}}

// small is the network of such a pool.
var small = strings.Replace(conflist, "fd64::/48", "fd64::/120", 1)

// For a while containers come and go, agents are killed, the store is, links go down, and somebody spoils what is there; whenever that has an end, every host's kernel is as
// the store says, no address was ever given twice, and all containers reach each other.
func TestAllKernelsAgree(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, with(many, "reach", "auto"))
		hosts := apart(w, 6)
		w.serve("outside")
		hosts[0].node("init")
		for _, h := range hosts {
			h.conflist(small)
			h.start()
			w.until(h.name+" has blocks", h.says(`"msg":"well"`))
		}
		for _, h := range hosts {
			for n := range 6 {
				name := fmt.Sprintf("%s-%c", h.name, 'a'+n)
				w.run("ip", "-n", name, "link", "set", "lo", "up")
				w.serve(name)
			}
		}
		r, rounds := &riot{world: w, attached: make(map[string]pod), did: make(map[string]int)}, 0
		defer func() { t.Logf("%d rounds, %v", rounds, r.did) }()
		length := 20 * time.Second
		if text := os.Getenv("TRESTLE_TRIAL"); text != "" {
			var err error
			length, err = time.ParseDuration(text)
			must(t, err)
		}
		for began := time.Now(); time.Since(began) < length; rounds++ {
			for range 12 {
				r.act()
			}
			r.calm()
		}
	})
}

// riot is the trouble.
type riot struct {
	*world
	attached map[string]pod
	did      map[string]int
	stored   bool // the store is gone
}

func (r *riot) act() {
	r.t.Helper()
	h := r.hosts[rand.N(len(r.hosts))]
	acts := []struct {
		what string
		do   func(h *host)
	}{
		{"a container comes or goes", r.turn}, {"a container comes or goes", r.turn}, {"a container comes or goes", r.turn},
		{"an agent is killed", func(h *host) { h.stop() }},
		{"an agent starts", func(h *host) {
			if h.agent == nil {
				h.start()
			}
		}},
		{"the store goes or comes", func(*host) {
			if r.stored = !r.stored; r.stored {
				r.stopStore()
			} else {
				r.startStore()
			}
		}},
		{"a route goes", func(h *host) { h.do("ip", "route", "flush", "proto", "118") }},
		{"the tunnel goes", func(h *host) { _ = h.command("ip", "link", "del", "vxlan.118").Run() }},
		{"a neighbour is another", func(h *host) {
			_ = h.command("ip", "neigh", "replace", "10.64.0.0", "lladdr", "02:00:00:00:00:01", "dev", "vxlan.118", "nud", "permanent").Run()
		}},
		{"the link goes and comes", func(h *host) {
			h.do("ip", "link", "set", "eth0", "down")
			h.do("ip", "link", "set", "eth0", "up")
			for _, words := range h.lost {
				h.do(words...)
			}
		}},
	}
	one := acts[rand.N(len(acts))]
	r.did[one.what]++
	one.do(h)
}

// turn attaches a container of the host that is not, or detaches one that is. A host that has no address left, since nobody gives it a block, says so.
func (r *riot) turn(h *host) {
	r.t.Helper()
	name := fmt.Sprintf("%s-%c", h.name, 'a'+rand.N(6))
	if _, is := r.attached[name]; is {
		h.do(program("cnitool"), "del", "pods", "/run/netns/"+name)
		delete(r.attached, name)
		return
	}
	out, err := h.command(program("cnitool"), "add", "pods", "/run/netns/"+name).CombinedOutput()
	if err != nil {
		r.did["an ADD is refused"]++
		h.full(name, out)
		return
	}
	p := h.parse(name, out)
	for _, other := range r.attached {
		for _, addr := range p.addrs {
			if slices.Contains(other.addrs, addr) {
				r.t.Errorf("%s has %s, as %s", name, addr, other.name)
			}
		}
	}
	r.attached[name] = p
}

// calm ends the trouble, and waits until nothing is wrong.
func (r *riot) calm() {
	r.t.Helper()
	if r.stored {
		r.startStore()
		r.stored = false
	}
	for _, h := range r.hosts {
		if h.agent == nil {
			h.start()
		}
	}
	var pods []pod
	for _, name := range slices.Sorted(maps.Keys(r.attached)) {
		pods = append(pods, r.attached[name])
	}
	r.agree(r.hosts, pods)
	for i, from := range pods { // in a ring
		for _, addr := range pods[(i+1)%len(pods)].addrs {
			must(r.t, reaches(from.name, addr, from.addrs...))
		}
	}
}

// A host that has many containers has several blocks, and their containers reach each other and others'; what it gives back goes whole, gateway and all, and is
// reached where it is then.
func TestSeveralBlocks(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, with(many, "reach", "auto"))
		hosts := apart(w, 6)
		one, far := hosts[0], hosts[2]
		hosts[0].node("init")
		w.serve("outside")
		for _, h := range hosts {
			h.conflist(small)
			h.start()
			w.until(h.name+" has blocks", h.says(`"msg":"well"`))
		}
		next := func(h *host, name string) pod {
			w.until(h.name+" has room", func() error {
				l := h.list()
				if n := l.count(h); n <= 2*h.pods {
					return fmt.Errorf("%d blocks", n)
				}
				return nil
			})
			h.pods++
			return h.add(name)
		}
		pods := []pod{next(one, "h1-a"), next(one, "h1-b"), next(one, "h1-c"), next(far, "h3-a")}
		w.agree(hosts, pods)
		must(t, w.mesh(pods...))
		if got := one.do("sysctl", "-n", "net.ipv4.conf.all.send_redirects", "net.ipv4.conf.pods0.send_redirects"); got != "0\n0\n" {
			t.Errorf("containers of several blocks are told of shorter ways: %q", got)
		}
		for _, p := range pods[:2] {
			one.do(program("cnitool"), "del", "pods", "/run/netns/"+p.name)
		}
		w.until("blocks are given back", func() error {
			if n := one.list().count(one); n > 4 {
				return fmt.Errorf("%d blocks", n)
			}
			return nil
		})
		pods = append(pods[2:], next(far, "h3-b"), next(far, "h3-c"))
		w.agree(hosts, pods)
		must(t, w.mesh(pods...))
	})
}
