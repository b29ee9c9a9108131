package iptables

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// Names that have no room in a comment are cut there, as the kernel would, and hashed in the ledger, by which all is found again: by the owner, and by
// a GC that knows what the ledger says.
func TestLongNames(t *testing.T) {
	for _, flavour := range []string{"nft", "legacy"} {
		for _, length := range []int{64, 200, 226, 227, 228, 236, 237, 300, 5000} {
			nstest.Run(t, func(t *testing.T) {
				choose(t, flavour)
				f := open()
				defer f.Close()
				o := owner.Of("net", strings.Repeat("c", length), "eth0")
				addr := netip.MustParseAddr("10.1.0.2")
				subnet := netip.MustParsePrefix("10.1.0.0/24")
				for _, c := range []firewall.Claim{
					{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: addr, Subnet: subnet}}},
					{Role: firewall.Publish, Ports: []firewall.Port{{Protocol: 6, HostPort: 8080, Target: netip.AddrPortFrom(addr, 80), Subnet: subnet}}},
				} {
					for _, byGC := range []bool{false, true} {
						hold(t, f, o, c)
						dropAs(t, f, o, c.Role, byGC)
					}
				}
				if rules := run(t, "iptables-save"); strings.Contains(rules, "ccc") || strings.Contains(rules, "t1 ") {
					t.Errorf("%d bytes: left:\n%s", length, rules)
				}
			})
		}
	}
}

func hold(t *testing.T, f *Filter, o owner.Owner, c firewall.Claim) {
	t.Helper()
	if created, err := f.Hold(t.Context(), o, c, nil); !created || err != nil {
		t.Fatalf("%v, %v", created, err)
	}
	if created, err := f.Hold(t.Context(), o, c, nil); created || err != nil {
		t.Errorf("again: %v, %v", created, err)
	}
	if err := f.Held(t.Context(), o, c); err != nil {
		t.Error(err)
	}
}

func dropAs(t *testing.T, f *Filter, o owner.Owner, r firewall.Role, byGC bool) {
	t.Helper()
	if byGC {
		holders, err := f.Owners(t.Context(), r, o.ID.Network)
		if err != nil || len(holders) != 1 || holders[0].ID != o.ID {
			t.Fatalf("owners %v, %v", holders, err)
		}
		o = holders[0].Owner
	}
	if err := f.Drop(t.Context(), o, firewall.Claim{Role: r}); err != nil {
		t.Error(err)
	}
}
