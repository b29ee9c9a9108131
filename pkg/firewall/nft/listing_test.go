package nft

import (
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// golden compares text with a file. With UPDATE_GOLDEN in the environment it writes the file anew.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

var must = nstest.Must

// nftool runs nft(8), the second opinion on what is in the kernel.
func nftool(t testing.TB, args ...string) string {
	t.Helper()
	return nstest.Program(t, "", "nft", args...)
}

func open(t testing.TB) *Filter {
	f := Open().Remember(t.TempDir())
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func somebody() owner.Owner { return owner.Of("net", "one", "eth0") }

// three is one claim in each role.
func three() []firewall.Claim {
	four, six := netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("fd00::/64")
	to := netip.MustParseAddrPort
	return []firewall.Claim{
		{Role: firewall.Masquerade, Linked: true, Masq: []firewall.Masq{
			{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: four}, {Addr: netip.MustParseAddr("fd00::2"), Subnet: six}}},
		{Role: firewall.Publish, Ports: []firewall.Port{
			{Protocol: 6, HostPort: 8080, Target: to("10.1.0.2:80"), Subnet: four, SNAT: firewall.SNATHairpin},
			{Protocol: 6, HostPort: 8080, Target: to("[fd00::2]:80"), Subnet: six, SNAT: firewall.SNATHairpin},
			{Protocol: 17, HostPort: 53, HostIP: netip.MustParseAddr("192.0.2.1"), Target: to("10.1.0.2:53"), SNAT: firewall.SNATAll},
			{Protocol: 132, HostPort: 3868, HostIP: netip.MustParseAddr("2001:db8::1"), Target: to("[fd00::2]:3868"), SNAT: firewall.SNATAll},
		}},
		{Role: firewall.Antispoof, Linked: true, Spoof: []firewall.Spoof{{Link: somebody().HostLink(), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}}},
	}
}

// held makes a filter in which somebody holds all three.
func held(t testing.TB) *Filter {
	f := open(t)
	for _, c := range three() {
		_, err := f.Hold(t.Context(), somebody(), c, nil)
		must(t, err)
	}
	return f
}

// whole fails the test unless the tables and all that somebody holds are there.
func whole(t testing.TB, f *Filter) {
	t.Helper()
	must(t, f.Grounded(t.Context()))
	for _, c := range three() {
		must(t, f.Held(t.Context(), somebody(), c))
	}
}

// TestListing holds the table against what nft(8) says of it, and the words that we have for each rule against nft's.
func TestListing(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		whole(t, f)
		inetText, bridgeText := nftool(t, "list", "table", "inet", "trestle"), nftool(t, "list", "table", "bridge", "trestle")
		golden(t, "testdata/inet.nft", inetText)
		golden(t, "testdata/bridge.nft", bridgeText)
		listed := strings.ReplaceAll(inetText+bridgeText, "counter packets 0 bytes 0", "counter")
		for _, tab := range []*table{inet(), bridge()} {
			for _, c := range tab.laid() {
				for _, r := range c.rules {
					if !strings.Contains(listed, "\t\t"+r.text+"\n") {
						t.Errorf("chain %s: nft(8) does not list %q", c.Name, r.text)
					}
				}
			}
		}
	})
}

// TestReload lets nft(8) write and read everything.
func TestReload(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		before := nftool(t, "list", "ruleset")
		file := filepath.Join(t.TempDir(), "ruleset")
		must(t, os.WriteFile(file, []byte(before), 0o600))
		nftool(t, "flush", "ruleset")
		nftool(t, "-f", file)
		if diff := cmp.Diff(before, nftool(t, "list", "ruleset")); diff != "" {
			t.Errorf("reloaded (-before +after):\n%s", diff)
		}
		whole(t, f)
		for _, c := range three() {
			must(t, f.Drop(t.Context(), somebody(), firewall.Claim{Role: c.Role}))
			here, err := f.Holds(t.Context(), somebody(), c.Role)
			if err != nil || here {
				t.Errorf("%s after a drop: held %t, error %v", c.Role, here, err)
			}
		}
		must(t, f.Unground(t.Context()))
		if left := nftool(t, "list", "ruleset"); left != "" {
			t.Errorf("after unground:\n%s", left)
		}
	})
}

// TestReasons has a reason for each rule that drops, and a rule for each reason.
func TestReasons(t *testing.T) {
	unused := maps.Clone(reasons)
	for _, tab := range everyTable() {
		for _, c := range tab.laid() {
			if name := tab.String() + " " + c.Name; slices.ContainsFunc(c.rules, rule.drops) {
				if reasons[name] == "" {
					t.Errorf("%s drops for no reason", name)
				}
				delete(unused, name)
			}
		}
	}
	if len(unused) > 0 {
		t.Errorf("reasons of rules that drop nothing: %v", unused)
	}
}
