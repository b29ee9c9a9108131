package iptables

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/firewalltest"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/test/nstest"
)

func TestFilter(t *testing.T) {
	firewalltest.Run(t, firewalltest.Backend{
		Open: func(testing.TB) firewall.Filter { return open() },
		Wipe: func(t testing.TB) { run(t, "nft", "flush", "ruleset") },

		Crowd: crowd(),
	})
}

// crowd is small: each of a crowd runs programs, some hundred times, and they wait for each other.
func crowd() int {
	if os.Getenv("TRESTLE_LONG") != "" {
		return 32
	}
	return 6
}

// TestLegacy puts the same questions to the other flavour, as on a host where that is what iptables is.
func TestLegacy(t *testing.T) {
	firewalltest.Run(t, firewalltest.Backend{
		Open: func(t testing.TB) firewall.Filter { choose(t, "legacy"); return open() },
		Wipe: func(t testing.TB) {
			for _, program := range []string{"iptables-legacy", "ip6tables-legacy"} {
				for _, table := range []string{"nat", "raw"} {
					run(t, program, "-t", table, "-F")
					run(t, program, "-t", table, "-X")
				}
			}
			run(t, "nft", "flush", "ruleset")
		},
		Crowd: crowd(),
	})
}

// choose makes the flavour that of the host, for the rest of the process, which must be a test's own.
func choose(t testing.TB, kind string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, verb := range []string{"", "-save", "-restore"} {
			path, err := exec.LookPath(name + "-" + kind + verb)
			if err == nil {
				err = os.Symlink(path, filepath.Join(dir, name+verb))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func open() *Filter { return opened(Options{MarkBit: DefaultMarkBit}) }

func opened(o Options) *Filter {
	link := nft.Open()
	o.Link, o.Conn = link, link.Conn
	return Open(o)
}

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	return nstest.Program(t, "", program, args...)
}
