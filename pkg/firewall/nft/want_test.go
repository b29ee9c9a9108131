package nft

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// TestParse compares what claims want, byte for byte. Elements that two ports share are there once.
func TestParse(t *testing.T) {
	var got strings.Builder
	for _, c := range three() {
		w, err := parse(somebody(), c)
		must(t, err)
		for _, e := range w.all() {
			fmt.Fprintf(&got, "%s %s %s", w.table, e.set.Name, hex.EncodeToString(e.key))
			if len(e.end) > 0 {
				fmt.Fprintf(&got, " - %s", hex.EncodeToString(e.end))
			}
			fmt.Fprintf(&got, " : %s (%s)\n", hex.EncodeToString(e.val), e.title)
		}
	}
	golden(t, "testdata/claims.txt", got.String())
}

// TestComplaints asks that a bad claim is refused with all that is wrong with it.
func TestComplaints(t *testing.T) {
	port := published(6, "", 8080, "10.1.0.2:80")
	zero, family, subnet := port, port, port
	zero.HostPort = 0
	family.HostIP = netip.MustParseAddr("::1")
	subnet.Subnet = netip.MustParsePrefix("10.2.0.0/24")
	_, err := parse(somebody(), firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{port, port, zero, family, subnet}})
	want := strings.Join([]string{
		"publish: host port 8080/tcp: listed twice",
		"host port 0/tcp: target port 80: both must be from 1 to 65535",
		"host port [::1]:8080/tcp: target 10.1.0.2: must be of the family of the host's address",
		"host port 8080/tcp: subnet 10.2.0.0/24: must be masked and contain 10.1.0.2",
	}, "\n")
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
	if _, err := parse(somebody(), firewall.Claim{Role: "bandwidth"}); err == nil {
		t.Error("a role that is not known: no error")
	}
}

// TestLast compares the highest address of a prefix with its definition.
func TestLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
		addr, _ := netip.AddrFromSlice(raw)
		p := netip.PrefixFrom(addr, rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
		high := last(p)
		if !p.Contains(high) || p.Contains(high.Next()) {
			t.Errorf("last of %s: %s", p, high)
		}
	})
}

// TestDisjoint compares the prefixes that are left with those that went in: they cover the same, and none lies in another.
func TestDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) netip.Prefix {
			addr := netip.AddrFrom4([4]byte{10, rapid.ByteRange(0, 3).Draw(t, "second"), rapid.Byte().Draw(t, "third"), 0})
			return netip.PrefixFrom(addr, rapid.IntRange(8, 24).Draw(t, "bits")).Masked()
		})
		all := rapid.SliceOfN(draw, 1, 8).Draw(t, "prefixes")
		left := disjoint(slices.Clone(all))
		for i, p := range left {
			if !slices.Contains(all, p) || slices.ContainsFunc(left[i+1:], p.Overlaps) {
				t.Errorf("%s of %s is new, or overlaps", p, left)
			}
		}
		for _, p := range all {
			if !slices.ContainsFunc(left, func(wider netip.Prefix) bool { return wider.Contains(p.Addr()) && wider.Bits() <= p.Bits() }) {
				t.Errorf("%s is not covered by %s", p, left)
			}
		}
	})
}
