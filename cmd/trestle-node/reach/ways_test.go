package reach

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/test/nstest"
)

// What somebody says of where a host is, and no host can be there, is no way; and it keeps nobody else waiting: one who is somewhere, too, is reached there.
func TestNoHostIsThere(t *testing.T) {
	nowhere := []netip.Addr{{}}
	for _, text := range []string{"0.0.0.0", "224.0.0.1", "127.0.0.1", "255.255.255.255", "169.254.1.1", "::", "::1", "ff02::1", "fe80::1", "fe80::1%eth0", "::ffff:192.0.2.2", "::ffff:0.0.0.0"} {
		nowhere = append(nowhere, netip.MustParseAddr(text))
	}
	for _, mode := range []Mode{Direct, Auto, VXLAN} {
		t.Run(string(mode), func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				stage(t)
				c := conf(mode)
				var said strings.Builder
				c.Log = func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) }
				r, err := Open(c)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				blocks := []agent.Neighbour{{Block: netip.MustParsePrefix("10.65.0.0/26"), Node: "both", Epoch: 1, Via: append(nowhere, netip.MustParseAddr("192.0.2.2"))}}
				for i, via := range nowhere {
					prefix := fmt.Sprintf("10.66.%d.0/26", i)
					blocks = append(blocks, agent.Neighbour{Block: netip.MustParsePrefix(prefix), Node: fmt.Sprintf("x%d", i), Epoch: 2, Via: []netip.Addr{via}})
				}
				set(t, r, blocks)
				if routes := do(t, "ip route show proto 118"); strings.Count(routes, "\n") != 1 || !strings.Contains(routes, "10.65.0.0/26") {
					t.Errorf("routes:\n%s", routes)
				}
				if n := strings.Count(said.String(), "block 10.66."); n != len(nowhere) {
					t.Errorf("%d of %d are told:\n%s", n, len(nowhere), said.String())
				}
			})
		})
	}
}

// A host that comes to be behind a router is reached through the tunnel from then on, and directly again when it is not; nothing of the other way is left.
func TestNearAndFar(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		r := host(t, Auto)
		set(t, r, others)
		near := state(t)
		said := make(chan string, 100)
		r.mutex.Lock()
		r.Log = func(format string, args ...any) { said <- fmt.Sprintf(format, args...) }
		r.mutex.Unlock()
		for range 2 {
			do(t, "ip route add 192.0.2.2/32 via 192.0.2.9")
			hear(t, said, "+route 10.64.1.0/26 via 10.64.1.0")
			set(t, r, others)
			if got := do(t, "ip route show proto 118"); strings.Contains(got, "via 192.0.2.2") {
				t.Errorf("routes:\n%s", got)
			}
			do(t, "ip route del 192.0.2.2/32")
			hear(t, said, "+route 10.64.1.0/26 via 192.0.2.2")
			set(t, r, others)
			if got := state(t); got != near {
				t.Errorf("it is\n%s\nand was\n%s", got, near)
			}
		}
		_ = r.Set(context.Background(), nil)
	})
}

// A block's gateway goes from wherever it is, and nothing else does: not another block's, not the same address of another length.
func TestVacate(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		script(t, `
			ip link add pods0 type bridge
			ip link set pods0 up
			ip address add 10.64.1.1/26 dev pods0
			ip address add 10.64.2.1/26 dev pods0
			ip address add fd00:0:0:1::1/64 dev pods0 nodad
			ip address add 10.64.1.1/32 dev lo`)
		for range 2 { // the second time there is none
			for _, block := range []string{"10.64.1.0/26", "fd00:0:0:1::/64"} {
				if err := Vacate(netip.MustParsePrefix(block)); err != nil {
					t.Error(err)
				}
			}
		}
		left := do(t, "ip -oneline address")
		if strings.Contains(left, "10.64.1.1/26") || strings.Contains(left, "fd00:0:0:1::1") || !strings.Contains(left, "10.64.2.1/26") || !strings.Contains(left, "10.64.1.1/32") {
			t.Errorf("left is\n%s", left)
		}
	})
}

// A host with several blocks on a link sends no redirects there, nor by a link that comes later; those of others are left as they are.
func TestNoRedirects(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		stage(t)
		script(t, `
			sysctl -q -w net.ipv4.conf.all.send_redirects=1 net.ipv4.conf.default.send_redirects=1
			ip link add pods0 type bridge
			ip address add 10.64.1.1/26 dev pods0`)
		for range 2 {
			if err := NoRedirects([]netip.Prefix{netip.MustParsePrefix("10.64.0.0/16")}); err != nil {
				t.Fatal(err)
			}
		}
		script(t, "ip link add pods1 type bridge")
		got := do(t, "sysctl -n net.ipv4.conf.all.send_redirects net.ipv4.conf.pods0.send_redirects net.ipv4.conf.pods1.send_redirects net.ipv4.conf.eth0.send_redirects")
		if got != "0\n0\n0\n1\n" {
			t.Errorf("all, the link, a new one, another's: %q", got)
		}
	})
}
