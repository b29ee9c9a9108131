package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestSpecific publishes a port of all addresses and the same port of one, by two containers in either order under each backend: the one gets
// what is for its address, and nothing else. When it goes, the other gets that as well; and again when it comes back.
func TestSpecific(t *testing.T) {
	config := network(`"isDefaultGateway": true, "ipMasq": true, ` + hostLocal(subnet+`], [{"subnet": "fd00:1::/64"}`))
	one := []string{mapping("tcp", 8080, 80, `, "hostIP": "192.0.2.1"`), mapping("tcp", 8080, 80, `, "hostIP": "2001:db8::1"`)}
	for _, backend := range backends {
		for _, order := range [][]string{{"all", "one"}, {"one", "all"}} {
			t.Run(order[0]+"-first/"+backend, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					w, keys := newStreet(t), fmt.Sprintf(`"backend": %q`, backend)
					for _, name := range order {
						w.container(name)
						w.attach(name, config)
						w.serve(name, "tcp", ":80")
					}
					calls := map[string]string{"all": w.ports("all", keys, mapping("tcp", 8080, 80, "")), "one": w.ports("one", keys, one...)}
					for _, name := range order {
						succeed(t, "ADD", "portmap", name, calls[name])
					}
					for range 2 {
						w.gets("one", "192.0.2.1:8080", "[2001:db8::1]:8080")
						succeed(t, "DEL", "portmap", "one", calls["one"])
						w.gets("all", "192.0.2.1:8080", "[2001:db8::1]:8080")
						succeed(t, "ADD", "portmap", "one", calls["one"])
					}
					if !w.hears("host", "tcp", "127.0.0.1:8080", "all") {
						t.Error("127.0.0.1 does not lead to who has all addresses")
					}
					for _, name := range order {
						succeed(t, "CHECK", "portmap", name, calls[name])
					}
				})
			})
		}
	}
}

// gets fails the test unless the container answers at each address, and that at once but for what was dropped: under nftables it goes with the next
// tick of the kernel, up to ten milliseconds later.
func (w *street) gets(container string, addresses ...string) {
	w.Helper()
	for _, to := range addresses {
		late := time.Now().Add(slack.Of(grace))
		for !w.hears(outsider, "tcp", to, container) {
			if time.Now().After(late) {
				w.Errorf("%s does not lead to %q", to, container)
				break
			}
		}
	}
}
