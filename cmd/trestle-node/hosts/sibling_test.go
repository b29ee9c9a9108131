package hosts

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// Two containers of one host, in blocks of their own, are on one link. A host would tell each by a redirect (RFC 792) that the other is beside it, and a container believes that for
// five minutes. One goes, its block is given back, and another host has it: whoever has the address there is reached at once.
func TestSiblingMovesAway(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, map[string]any{"reach": "direct", "spare": 0, "pool": map[string]any{
			"cidrs": []string{"10.64.0.0/30", "10.64.0.4/30", "10.64.0.8/30"}, "blockSize": map[string]int{"ipv4": 30}}})
		one := w.host("h1", "sw0", "", []string{"192.0.2.1/24"}, "h1-a", "h1-b")
		two := w.host("h2", "sw0", "", []string{"192.0.2.2/24"}, "h2-a", "h2-b")
		one.node("init")
		for _, h := range w.hosts {
			h.conflist(`{"cniVersion": "1.1.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods0", "isDefaultGateway": true,
				"ipam": {"type": "host-local", "rangesFrom": "/run/cni/blocks/pods.json"}}]}`) // and nothing that looks into ICMP, as who masquerades does
			h.do("sysctl", "-q", "-w", "net.ipv4.conf.all.send_redirects=1", "net.ipv4.conf.default.send_redirects=1")
			h.node("claim")
		}
		for _, pod := range []string{"h1-a", "h1-b", "h2-a", "h2-b"} { // as a kernel begins
			w.run("ip", "netns", "exec", pod, "sysctl", "-q", "-w", "net.ipv4.conf.all.accept_redirects=1")
		}
		stays := one.add("h1-a") // and with it the link, before there is a second block
		one.node("claim", "--more")
		goes, third := one.add("h1-b"), two.add("h2-a")
		for range 3 { // each of which a host would answer so
			w.run("ip", "netns", "exec", "h1-a", "bash", "-c", "echo x >/dev/udp/"+goes.addrs[0].String()+"/9")
		}
		must(t, reaches("h1-a", goes.addrs[0], stays.addrs[0]))
		if got := w.run("ip", "-n", "h1-a", "route", "get", goes.addrs[0].String()); strings.Contains(got, "redirected") {
			t.Fatalf("the container was told of a shorter way: %s", got)
		}
		one.do(program("cnitool"), "del", "pods", "/run/netns/h1-b")
		for line := range strings.Lines(one.node("reconcile")) {
			if words := strings.Fields(line); netip.MustParsePrefix(words[1]).Contains(goes.addrs[0]) {
				one.node("release", words[0])
			}
		}
		two.node("claim", "--more")
		comes := two.add("h2-b")
		if comes.addrs[0] != goes.addrs[0] {
			t.Fatalf("it has %v, and not %v", comes.addrs, goes.addrs)
		}
		for _, h := range w.hosts {
			h.start()
			w.until(h.name+" has ways", h.says("+route"))
		}
		must(t, reaches("h2-a", comes.addrs[0], third.addrs[0]))
		must(t, reaches("h1-a", comes.addrs[0], stays.addrs[0]))
	})
}
