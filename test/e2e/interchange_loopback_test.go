package e2e

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestLoopbackInterchange lets the reference and us attach a container's lo, and the other one look at it and take it away.
func TestLoopbackInterchange(t *testing.T) {
	for _, s := range suites() {
		for _, ours := range []bool{true, false} {
			name := filepath.Base(s.dir) + map[bool]string{true: ", after us", false: ", before us"}[ours]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { changeHands(t, s, ours) })
			})
		}
	}
}

// changeHands is an ADD by one, and CHECK and DEL by the other.
func changeHands(t *testing.T, s suite, ours bool) {
	path := nstest.Namespace(t, "c1")
	first := func(verb, config string) []byte { return s.call(t, verb, "loopback", "c1", config) }
	second := func(verb, config string) []byte { return succeed(t, verb, "loopback", "c1", config).Out }
	if ours {
		first, second = second, first
	}
	const config = `{"cniVersion": "1.0.0", "name": "net", "type": "loopback"`
	result := first("ADD", config+`}`)
	holdLo(t, path, true)
	for range 2 {
		second("CHECK", config+`, "prevResult": `+string(result)+`}`)
	}
	second("DEL", config+`}`)
	holdLo(t, path, !ours) // what bears no mark of ours may have been up before
}

// holdLo expects the container's lo to be up with both of its addresses, or down.
func holdLo(t *testing.T, path string, up bool) {
	t.Helper()
	must(t, ns.WithNetNSPath(path, func(ns.NetNS) error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		addrs, err := netlink.AddrList(lo, netlink.FAMILY_ALL)
		if is := lo.Attrs().Flags&net.FlagUp != 0; is != up || up && len(addrs) != 2 {
			t.Errorf("lo: up %t with %v, want %t", is, addrs, up)
		}
		return err
	}))
}
