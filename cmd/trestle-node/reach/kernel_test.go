package reach

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// do runs a command of several words, and returns what it says.
func do(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// script runs a command a line.
func script(t *testing.T, lines string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		do(t, line)
	}
}

// stage is this host, n1: n2 is on its link, n3 behind n2.
func stage(t *testing.T) {
	script(t, `
		ip netns add n2
		ip link add eth0 type veth peer name eth0 netns n2
		ip address add 192.0.2.1/24 dev eth0
		ip address add 2001:db8::1/64 dev eth0 nodad
		ip link set eth0 up
		ip -n n2 link set eth0 up
		ip link add br9 type bridge
		ip route add default via 192.0.2.2`)
}

// host is a Reach that runs, with what it said.
func host(t *testing.T, mode Mode) *Reach {
	t.Helper()
	c := conf(mode)
	c.Log = func(format string, args ...any) { t.Logf(format, args...) }
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return r
}

func set(t *testing.T, r *Reach, blocks []agent.Neighbour) {
	t.Helper()
	if err := r.Set(context.Background(), blocks); err != nil {
		t.Fatal(err)
	}
}

// state is all that is there of ours, as iproute2 has it.
func state(t *testing.T) string {
	var out strings.Builder
	for _, line := range []string{"ip route show proto 118", "ip -6 route show proto 118", "ip neigh show nud permanent", "ip -6 neigh show nud permanent"} {
		out.WriteString(do(t, line))
	}
	links, _ := exec.Command("ip", "-d", "link", "show", "vxlan.118").CombinedOutput()
	for _, word := range []string{"id 118", "local 192.0.2.1", "dstport 4789", "nolearning", "mtu 1450", "LOWER_UP", "trestle-node pods"} {
		fmt.Fprintln(&out, word, strings.Contains(string(links), word))
	}
	ends, _ := exec.Command("bridge", "fdb", "show", "dev", "vxlan.118").CombinedOutput()
	for line := range strings.Lines(string(ends)) {
		if strings.Contains(line, " dst ") {
			out.WriteString(line)
		}
	}
	own, _ := exec.Command("ip", "-brief", "address", "show", "vxlan.118").CombinedOutput()
	for _, word := range []string{"10.64.0.0/32", "fd00::/128"} {
		fmt.Fprintln(&out, word, strings.Contains(string(own), word))
	}
	return out.String()
}

// spoils are what somebody does to what is ours.
func spoils(t *testing.T, r *Reach) []string {
	end, renamed := r.end("n3").String(), "ip link set vxlan.118 down"
	if nstest.Since(t, 6, 2) { // before, a link that is up keeps its name
		renamed = "ip link set vxlan.118 name x118"
	}
	return []string{
		"ip route del 10.64.1.0/26", "ip route del 10.64.2.0/26", "ip -6 route del fd00:0:0:1::/64", "ip -6 route del fd00:0:0:2::/64",
		"ip route flush proto 118", "ip route replace 10.64.1.0/26 via 192.0.2.9 proto 118", "ip route add 10.70.0.0/26 via 192.0.2.9 proto 118",
		"ip route replace 10.64.1.0/26 via 192.0.2.2 dev eth0 mtu 600 proto 118", "ip route add 10.64.1.0/26 via 192.0.2.2 tos 0x10 proto 118",
		"ip route replace 10.64.1.0/26 via 192.0.2.2 dev eth0 src 192.0.2.1 proto 118", "ip route replace blackhole 10.64.1.0/26 proto 118",
		"ip -6 route replace fd00:0:0:1::/64 via 2001:db8::2 dev eth0 expires 60 proto 118", "ip -6 route replace fd00:0:0:1::/64 via 2001:db8::2 dev eth0 pref low proto 118",
		"ip route replace 10.64.2.0/26 proto 118 nexthop via 192.0.2.2 nexthop via 192.0.2.9",
		"bridge fdb replace " + end + " dev vxlan.118 dst 198.51.100.3 port 4790", "bridge fdb append " + end + " dev vxlan.118 dst 198.51.100.3 vni 7",
		"ip link set vxlan.118 type vxlan ttl 1", "ip link set vxlan.118 master br9",
		renamed,
		"ip link set vxlan.118 down", "ip link del vxlan.118", "ip link set vxlan.118 mtu 1400", "ip link set vxlan.118 address 02:00:00:00:00:03",
		"ip neigh del 10.64.2.0 dev vxlan.118", "ip neigh replace 10.64.2.0 lladdr 02:00:00:00:00:01 dev vxlan.118 nud permanent",
		"ip neigh replace fd00:0:0:2:: lladdr 02:00:00:00:00:01 dev vxlan.118 nud reachable",
		"bridge fdb del " + end + " dev vxlan.118 dst 198.51.100.3", "bridge fdb add 02:00:00:00:00:02 dev vxlan.118 dst 192.0.2.9",
		"bridge fdb append 00:00:00:00:00:00 dev vxlan.118 dst 192.0.2.9",
		"ip address del 10.64.0.0/32 dev vxlan.118", "ip address add 10.99.0.1/32 dev vxlan.118",
	}
}

// What is wanted is there; what somebody removes or spoils is there again, within 100 ms where the machine has the time; and a second Set changes nothing.
func TestRepaired(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		r := host(t, Auto)
		set(t, r, others)
		want := state(t)
		if n := strings.Count(want, "true"); n != 9 {
			t.Fatalf("%d of 9 are as they should be:\n%s", n, want)
		}
		for _, line := range spoils(t, r) {
			mended := watch(t, r)
			do(t, line)
			took := mended()
			t.Logf("%s: mended in %v", line, took.Round(100*time.Microsecond))
			if took > slack.Of(100*time.Millisecond) {
				t.Errorf("%s: mended in %v", line, took)
			}
			if got := state(t); got != want {
				t.Fatalf("%s: is mended as\n%s\nnot\n%s", line, got, want)
			}
		}
		set(t, r, others)
		if got := state(t); got != want {
			t.Errorf("a second Set: %s", got)
		}
	})
}

// watch listens to the kernel, and returns what waits until something was other than it is to be, and is again, and says how long that was.
func watch(t *testing.T, r *Reach) (mended func() time.Duration) {
	t.Helper()
	heard, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{Conn: conn, protocol: Protocol}
	happened := make(chan struct{}, 1)
	go heard.each(func(event) { agent.Pull(happened) })
	began := time.Now() // what spoils it takes its time, too
	return func() time.Duration {
		defer conn.Close()
		defer heard.Close()
		deadline := time.After(slack.Of(2 * time.Second))
		for {
			select {
			case <-happened:
			case <-deadline:
				t.Fatalf("is not mended:\n%s", state(t))
			}
			if whole(k, r) {
				return time.Since(began)
			}
		}
	}
}

// whole says whether all that is wanted is there, and nothing else.
func whole(k *kernel, r *Reach) bool {
	link, err := k.LinkByName("vxlan.118")
	if err != nil || !r.right(link) || link.Attrs().MTU != 1450 || link.Attrs().Flags&net.FlagUp == 0 {
		return false
	}
	g := ground
	g.Tunnel = link.Attrs().Index
	want, _ := r.plan(others, g)
	have, _, err := k.read(g.Tunnel)
	return err == nil && Diff(have, want).Len() == 0
}

// A host that gets another address has its end of the tunnel there as soon as its own blocks say so, and what its link's MTU leaves.
func TestMovedUnderlay(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		c := conf(VXLAN)
		said := make(chan string, 100)
		c.Follow, c.Log = true, func(format string, args ...any) { said <- fmt.Sprintf(format, args...) }
		r, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		far := block("10.64.1.0/26", "n2", 2, "192.0.2.2")
		set(t, r, []agent.Neighbour{block("10.64.0.0/26", "n1", 1, "192.0.2.1"), far})
		script(t, "ip address add 192.0.2.7/24 dev eth0\nip address del 192.0.2.1/24 dev eth0\nip address replace 192.0.2.7/24 dev eth0\nip link set eth0 mtu 1400")
		set(t, r, []agent.Neighbour{block("10.64.0.0/26", "n1", 1, "192.0.2.7"), far})
		link := do(t, "ip -d link show vxlan.118")
		if mtu, err := r.MTU(); err != nil || mtu != 1350 || !strings.Contains(link, "local 192.0.2.7") || !strings.Contains(link, "mtu 1350") {
			t.Errorf("%d, %v: %s", mtu, err, link)
		}
		if got := do(t, "ip route show proto 118"); !strings.Contains(got, "10.64.1.0/26 via 10.64.1.0 dev vxlan.118") {
			t.Errorf("routes: %s", got)
		}
		if _, err := exec.Command("ip", "link", "add", "other", "type", "vxlan", "id", "118", "dstport", "4789").CombinedOutput(); err == nil {
			t.Error("the kernel has two tunnels of one number")
		}
		script(t, "ip link del vxlan.118\nip link add other type vxlan id 118 dstport 4789")
		if err := r.Set(context.Background(), []agent.Neighbour{far}); err == nil || fault.Hint(err) == "" || !strings.Contains(err.Error(), "link vxlan.118") {
			t.Errorf("another's tunnel of that number: %v (%s)", err, fault.Hint(err))
		}
	})
}

// A host whose address is on lo has what the links leave by which it sends, the least of them, and not what lo has.
func TestAddressOnLo(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		script(t, "ip address add 203.0.113.1/32 dev lo")
		c := conf(VXLAN)
		c.Local = netip.MustParseAddr("203.0.113.1")
		c.Log = func(string, ...any) {}
		r, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, step := range []struct {
			line string
			mtu  int
		}{
			{"ip link set eth0 mtu 9000", 8950},
			{"ip link add eth1 mtu 1400 type veth peer name eth1 netns n2", 8950},
			{"ip link set eth1 up", 8950},
			{"ip route replace default nexthop via 192.0.2.2 nexthop dev eth1", 1350},
			{"ip route del default", 1450},
		} {
			do(t, step.line)
			set(t, r, []agent.Neighbour{block("10.64.2.0/26", "n3", 8, "192.0.2.2")})
			if mtu, err := r.MTU(); err != nil || mtu != step.mtu || !strings.Contains(do(t, "ip link show vxlan.118"), fmt.Sprintf("mtu %d ", mtu)) {
				t.Errorf("after %s: %d, %v: %s", step.line, mtu, err, do(t, "ip link show vxlan.118"))
			}
		}
	})
}

// Who has the tunnel's port is found by an error that names it, each time, and what else there is waits for the tunnel; when the port is free all is there.
func TestPortTaken(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		taken, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 4789})
		if err != nil {
			t.Fatal(err)
		}
		c := conf(VXLAN)
		c.Log = func(string, ...any) {}
		r, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 2 {
			err := r.Set(context.Background(), others)
			if err == nil || !strings.Contains(err.Error(), "link vxlan.118, UDP port 4789: address already in use") || fault.Hint(err) == "" || strings.Contains(err.Error(), "no such device") {
				t.Errorf("%v (%s)", err, fault.Hint(err))
			}
		}
		taken.Close()
		set(t, r, others)
		if n := strings.Count(state(t), "true"); n != 9 {
			t.Errorf("%d of 9 are as they should be:\n%s", n, state(t))
		}
	})
}

// What goes and comes: a link, others' routes, blocks; nothing of anybody else's is touched.
func TestOthers(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		script(t, `
			ip route add 10.64.1.0/26 via 192.0.2.9
			ip route add 10.64.9.0/26 via 192.0.2.9 proto bird
			ip link add vxlan.118 type vxlan id 5 local 192.0.2.1 dstport 4790`)
		said := make(chan string, 100)
		c := conf(Direct)
		c.Log = func(format string, args ...any) { said <- fmt.Sprintf(format, args...) }
		r, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "another agent") {
			t.Errorf("a second one: %v", err)
		}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		go r.Run(ctx)
		set(t, r, others)
		hear(t, said, "somebody else's (protocol 3)")
		script(t, "ip route del 10.64.1.0/26 via 192.0.2.9")
		hear(t, said, "+route 10.64.1.0/26 via 192.0.2.2")
		script(t, "ip link set eth0 down")
		hear(t, said, "none of its addresses")
		script(t, "ip link set eth0 up\nip address replace 2001:db8::1/64 dev eth0 nodad")
		hear(t, said, "+route 10.64.1.0/26 via 192.0.2.2")
		set(t, r, nil)
		if left := do(t, "ip route show proto 118"); left != "" {
			t.Errorf("left: %s", left)
		}
		if got := do(t, "ip route show proto bird"); got != "" && !strings.Contains(got, "10.64.9.0/26") {
			t.Errorf("another's route: %s", got)
		}
		auto := r.Config
		auto.Mode = Auto
		r.mutex.Lock() // it runs
		defer r.mutex.Unlock()
		if _, err := r.kernel.link(auto); err == nil || !strings.Contains(err.Error(), "somebody else's") {
			t.Errorf("another's link: %v", err)
		}
	})
}

func hear(t *testing.T, said chan string, text string) {
	t.Helper()
	for deadline := time.After(slack.Of(5 * time.Second)); ; {
		select {
		case line := <-said:
			t.Log(line)
			if strings.Contains(line, text) {
				return
			}
		case <-deadline:
			t.Fatalf("%q was never said\n%s", text, do(t, "ip route"))
		}
	}
}
