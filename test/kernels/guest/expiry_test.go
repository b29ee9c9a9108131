//go:build kernels

package guest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestDropCosts tells what it costs to remove a published port: as a DEL does it, which is by expiry where the kernel heeds that and by deletion after
// a try in vain where it does not; and by deletion at once. A time in an emulator says nothing alone: docs/kernels.md compares the two.
func TestDropCosts(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		o := owner.Of("net", "one", "eth0")
		port := firewall.Port{Protocol: 6, HostPort: 8080, Target: netip.MustParseAddrPort("10.1.0.2:80")}
		for range 2 { // the first round loads modules and warms up
			for _, promptly := range []bool{false, true} {
				c := firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{port}, Promptly: promptly}
				var times []time.Duration
				for range 21 {
					hold(t, o, c)
					times = append(times, drop(t, o, c))
				}
				slices.Sort(times)
				t.Logf("a removal, at once by deletion %v: %v (quartiles %v, %v)", promptly, times[10], times[5], times[15])
			}
		}
	})
}

func hold(t *testing.T, o owner.Owner, c firewall.Claim) {
	t.Helper()
	f := nft.Open()
	defer f.Close()
	if err := f.Ground(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Hold(t.Context(), o, c, nil); err != nil {
		t.Fatal(err)
	}
}

// drop is what one process does: what the kernel makes it wait for when the connection is closed is part of it.
func drop(t *testing.T, o owner.Owner, c firewall.Claim) time.Duration {
	t.Helper()
	began := time.Now()
	f := nft.Open()
	err := f.Drop(t.Context(), o, c)
	f.Close()
	took := time.Since(began)
	look := nft.Open()
	defer look.Close()
	if left, found := look.Published(t.Context(), o, c); err != nil || found != nil || len(left) > 0 {
		t.Fatalf("%v; left %v, %v", err, left, found)
	}
	return took
}
