package e2e

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestBridgeKeepsItsAddress puts a gateway on bridges that were there before. Containers know the gateway by its Ethernet address, so that stays whatever
// ports come and go, from the first ADD to after the last DEL; where somebody has set one, it is not touched.
func TestBridgeKeepsItsAddress(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		keys   string
		moves  bool // the bridge is none of the gateway's, and behaves as the kernel has it
	}{
		"virgin":         {"ip link add cni0 type bridge", `"isGateway": true, `, false},
		"up, with ports": {"ip link add cni0 type bridge; ip link set cni0 up; ip link add p type veth peer name q; ip link set p address ee:00:00:00:00:01; ip link set p master cni0; ip link set p up", `"isGateway": true, `, false},
		"without one":    {"ip link add cni0 type bridge; ip link add p type veth peer name q; ip link set p master cni0; ip link del p", `"isDefaultGateway": true, `, false},
		"set":            {"ip link add cni0 address ee:00:00:00:00:02 type bridge", `"isGateway": true, `, false},
		"has a gateway":  {"ip link add cni0 type bridge; ip addr add 10.1.0.1/24 dev cni0; ip link set cni0 up", `"isGateway": true, `, false},
		"spanning tree":  {"ip link add cni0 type bridge stp_state 1 forward_delay 1500", `"isGateway": true, `, false},
		"no gateway":     {"ip link add cni0 type bridge", "", true},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				shell(t, c.script)
				config := network(c.keys + hostLocal(subnet))
				first, moved := "", false
				for i, address := range []string{"1e:00:00:00:00:01", "02:00:00:00:00:01", "0e:00:00:00:00:01"} {
					id := []string{"one", "two", "three"}[i]
					before := address0(t)
					nstest.Namespace(t, id)
					succeed(t, "ADD", "bridge", id, config)
					if i == 0 {
						first = address0(t)
						if !c.moves && before != "" && before != first {
							t.Errorf("the first ADD made %s of %s", first, before)
						}
					}
					shell(t, "ip link add x"+id+" type veth peer name y"+id+"; ip link set x"+id+" address "+address+"; ip link set x"+id+" master cni0; ip link set x"+id+" up")
					moved = moved || address0(t) != first || first == ""
				}
				for _, id := range []string{"one", "two", "three"} {
					succeed(t, "DEL", "bridge", id, config)
					shell(t, "ip link del x"+id)
				}
				if moved = moved || address0(t) != first; moved != c.moves {
					t.Errorf("the address after the first ADD is %s; it moved: %t, want %t", first, moved, c.moves)
				}
			})
		})
	}
}

// address0 is the bridge's Ethernet address, empty where it has none.
func address0(t *testing.T) string {
	t.Helper()
	link, err := netlink.LinkByName("cni0")
	must(t, err)
	return link.Attrs().HardwareAddr.String()
}
