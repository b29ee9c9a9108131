package step

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/plan"
)

// A container has two interfaces on one wire. Once the first sends by a table of its own, by its source or by a VRF, it answers for its own address alone, and again for both when that is undone.
func TestAnswersForItself(t *testing.T) {
	for name, own := range map[string]plan.Step{
		"by source": Sourced{IfName: "eth0", Sources: []Source{{Addr: netip.MustParsePrefix("10.1.0.2/16")}}},
		"by a VRF":  VRF{IfName: "eth0", Name: "blue"},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				if vrf, is := own.(VRF); is && vrf.Ready(h.ctx, h.Site) != nil {
					holdVRF(h, contract{base: full, step: own}) // this kernel has none, and says so
					return
				}
				h.apply(full...)
				h.run("ip link add p1 master br0 up type veth peer name eth1 address 02:00:00:00:00:09 netns c1")
				h.inside("ip addr add 10.1.0.9/16 dev eth1")
				h.inside("ip link set eth1 up")
				neighbour := h.join("c2", 2, "10.1.0.3/16")
				answer := func(when string, want ...string) {
					h.Helper()
					if diff := cmp.Diff(want, h.answered(neighbour, "10.1.0.9", "10.1.0.2")); diff != "" {
						h.Errorf("%s: what eth0 answered for (-want +got):\n%s", when, diff)
					}
				}
				answer("before", "10.1.0.9", "10.1.0.2")
				h.apply(own)
				answer("applied", "10.1.0.2")
				h.apply(own)
				h.must(own.Undo(h.ctx, h.Site))
				answer("undone", "10.1.0.9", "10.1.0.2")

				h.inside("sysctl -qw net.ipv4.conf.eth0.arp_ignore=2")
				h.apply(own)
				h.must(own.Undo(h.ctx, h.Site))
				if got := h.inside("sysctl -n net.ipv4.conf.eth0.arp_ignore"); got != "2" {
					h.Errorf("what somebody has set became %s", got)
				}
			})
		})
	}
}

// answered asks for the addresses, one after the other, the last of which is eth0's, and returns those for which that answered.
func (h *host) answered(neighbour string, addresses ...string) (list []string) {
	h.Helper()
	h.run("ip -n c2 neigh flush all")
	fd := listen(h.T, neighbour)
	h.looksFor(neighbour, addresses...)
	last := addresses[len(addresses)-1]
	next(h.T, fd, func(frame []byte) bool {
		if len(frame) < 42 || string(frame[12:14]) != "\x08\x06" || string(frame[20:22]) != "\x00\x02" || fmt.Sprintf("%x", frame[6:12]) != "020000000201" {
			return false // no answer by ARP (RFC 826), or not by eth0
		}
		list = append(list, netip.AddrFrom4([4]byte(frame[28:32])).String())
		return list[len(list)-1] == last
	})
	return list
}
