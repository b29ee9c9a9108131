package e2e

import (
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestGuardOfPorts has a container of IPv4 alone, which listens to routers as every host does, and a neighbour that advertises itself as one. Where the
// host is the gateway the neighbour's forgery ends at its port; on a bridge of the LAN whoever is its router is heard.
func TestGuardOfPorts(t *testing.T) {
	for name, c := range map[string]struct {
		keys  string
		hears bool
	}{
		"gateway, nftables": {`"isDefaultGateway": true, "ipMasq": true, `, false},
		"gateway, iptables": {`"isGateway": true, "ipMasq": true, "ipMasqBackend": "iptables", `, false},
		"gateway alone":     {`"isGateway": true, `, false},
		"taken":             {`"isGateway": true, "acceptRA": true, `, false},
		"LAN":               {"", true},
		"LAN, refused":      {`"acceptRA": false, `, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				w := newStreet(t)
				for _, id := range []string{"one", "two"} {
					w.container(id)
					w.attach(id, network(c.keys+hostLocal(subnet)))
				}
				if got := w.forged(); got != c.hears {
					t.Fatalf("the neighbour is believed: %t, want %t", got, c.hears)
				}
				config := network(c.keys + hostLocal(subnet))
				checked := config[:len(config)-1] + `, "prevResult": ` + string(w.results["one"]) + "}"
				succeed(t, "CHECK", "bridge", "one", checked)
				if c.hears || name == "LAN, refused" {
					return
				}
				w.nft("flush chain bridge trestle advertised")
				if got, err := invoke("CHECK", "bridge", "one", checked); err != nil || got.Status == 0 {
					t.Errorf("CHECK without the guard: %v, %v", got, err)
				}
				if !w.forged() {
					t.Error("without the guard the forgery fails as well: the test tests nothing")
				}
				w.container("three")
				w.attach("three", config) // whose ADD makes the guard again
				succeed(t, "CHECK", "bridge", "one", checked)
				for _, id := range []string{"one", "two", "three"} {
					succeed(t, "DEL", "bridge", id, config)
				}
				succeed(t, "GC", "bridge", "", config, "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")
				w.nft("list ruleset")
			})
		})
	}
}

// forged has container two advertise itself, and says whether one believes it.
func (w *street) forged() bool {
	w.Helper()
	must(w.T, in("one", func() error { return awaitLinkLocal("eth0") }))
	w.forge("one", w.address("one", true), func() error {
		if err := awaitLinkLocal("eth0"); err != nil {
			return err
		}
		return advertise("eth0")
	})
	return w.believes("one", "eth0")
}
