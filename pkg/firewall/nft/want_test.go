package nft

import (
	"encoding/hex"
	"fmt"
	"net/netip"
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
			fmt.Fprintf(&got, "%s %s %s : %s (%s)\n", w.table, e.set.Name, hex.EncodeToString(e.key), hex.EncodeToString(e.val), e.title)
		}
		for _, l := range w.locals {
			fmt.Fprintf(&got, "%s %s %s - %s\n", w.table, l.set.Name, hex.EncodeToString(l.start), hex.EncodeToString(l.end))
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

// TestInside compares ranges of two fields with prefixes.
func TestInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) netip.Prefix {
			addr := netip.AddrFrom4([4]byte{10, rapid.ByteRange(0, 3).Draw(t, name), 0, 0})
			return netip.PrefixFrom(addr, rapid.IntRange(8, 16).Draw(t, name+" bits")).Masked()
		}
		small, large := draw("small"), draw("large")
		both := func(p netip.Prefix) (low, high []byte) {
			low, high = p.Addr().AsSlice(), last(p).AsSlice()
			return append(low, low...), append(high, high...)
		}
		a, b := both(small)
		from, to := both(large)
		if got, want := inside(a, b, from, to), large.Contains(small.Addr()) && large.Bits() <= small.Bits(); got != want {
			t.Errorf("%s inside %s: %t, want %t", small, large, got, want)
		}
	})
}
