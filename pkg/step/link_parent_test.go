package step

import (
	"net"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// What is to hang on a link that hangs itself, as one of the same kind, the kernel hangs beside that: CHECK knows it there.
func TestParentHangsItself(t *testing.T) {
	for name, parent := range map[string]string{"macvlan": "type macvlan mode bridge", "macvtap": "type macvtap mode bridge"} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.run("ip link add wire type veth peer name far")
				h.run("ip link add hung link wire " + parent)
				h.run("ip link add other type veth peer name end")
				lone := Lone{Owner: one, IfName: "eth0", Form: Macvlan{Mode: "bridge"}, Parent: Parent{Name: "hung"}}
				h.must(lone.Guard(h.ctx, h.Site))
				h.apply(lone)
				h.must(lone.Verify(h.ctx, h.Site))
				lone.Parent.Name = "other"
				refuses(t, lone.Verify(h.ctx, h.Site), fault.Drift, "parent of eth0: expected other, found wire")
				h.run("ip link del hung")
				lone.Parent.Name = "hung"
				refuses(t, lone.Verify(h.ctx, h.Site), fault.Drift, "parent of eth0: expected hung, found wire")
			})
		})
	}
}

// Without a name the first default route says which, be it one of several next hops, or of IPv6 alone; routes that lead nowhere, or are in other tables, say nothing.
func TestParentByRoute(t *testing.T) {
	for name, way := range map[string]string{
		"one":               "ip route add default via 10.9.0.9 dev wire",
		"the least metric":  "ip route add default dev other metric 9; ip route add default via 10.9.0.9 dev wire metric 8",
		"several next hops": "ip route add default nexthop via 10.9.0.9 dev wire nexthop dev other",
		"IPv6":              "ip -6 route add default via fe80::9 dev wire",
		"IPv6, several":     "ip -6 route add default nexthop via fe80::9 dev wire nexthop via fe80::8 dev other",
		"IPv4 before IPv6":  "ip -6 route add default via fe80::9 dev other; ip route add default via 10.9.0.9 dev wire metric 77",
		"not those":         "ip route add unreachable default metric 1; ip route add default dev other table 77; ip -6 route add blackhole default metric 1; ip -6 route add default via fe80::9 dev wire metric 7",
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				refuses(t, Lone{Owner: one, IfName: "eth0", Form: Macvlan{Mode: "bridge"}}.Guard(h.ctx, h.Site), fault.Config, "no default route leads anywhere")
				h.run("sh\n-ec\nfor link in wire other; do ip link add $link type veth peer name $link-far; ip link set $link-far up; ip link set $link up; done; ip addr add 10.9.0.1/24 dev wire; " + way)
				link, err := Parent{}.find(h.Site)
				if h.must(err); link.Attrs().Name != "wire" {
					t.Errorf("found %s", link.Attrs().Name)
				}
			})
		})
	}
}

// A link may have other names (ip link property), and is meant by any.
func TestParentOfOtherName(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add wire type veth peer name far")
		h.run("ip link property add dev wire altname wan")
		lone := Lone{Owner: one, IfName: "eth0", Form: Macvlan{Mode: "bridge"}, Parent: Parent{Name: "wan"}}
		h.apply(lone)
		h.must(lone.Verify(h.ctx, h.Site))
		h.run("ip link property del dev wire altname wan")
		h.run("ip link set far name wan")
		refuses(t, lone.Verify(h.ctx, h.Site), fault.Drift, "parent of eth0: expected wan, found wire")
	})
}

// An Ethernet address that its parent, or another on it, has, the kernel refuses as the link comes up: that is said of it.
func TestMACInUse(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	for name, other := range map[string]string{"the parent's": "ip link set wire address 02:00:00:00:00:07 up",
		"another's": "ip link add mv0 link wire address 02:00:00:00:00:07 up type macvlan mode bridge"} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.run("ip link add wire up type veth peer name far")
				h.run(other)
				h.apply(Lone{Owner: one, IfName: "eth0", Form: Macvlan{Mode: "bridge"}, Parent: Parent{Name: "wire"}, MAC: mac})
				_, err := Up{IfName: "eth0"}.Apply(h.ctx, h.Site)
				refuses(t, err, fault.Taken, "mac of eth0: 02:00:00:00:00:07", "has it")
			})
		})
	}
}
