package nft

import (
	"os/exec"
	"testing"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/firewalltest"
)

func TestFilter(t *testing.T) {
	firewalltest.Run(t, firewalltest.Backend{
		Open: func(testing.TB) firewall.Filter { return Open() },
		Wipe: func(t testing.TB) { nftool(t, "flush", "ruleset") },
	})
}

// nftool runs nft(8), the second opinion on what is in the kernel.
func nftool(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("nft", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %v: %v: install the Debian package nftables if it is missing\n%s", args, err, out)
	}
	return string(out)
}
