package upkeep

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func nftool(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("nft", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// hold has an owner's claims in all of our tables.
func hold(t testing.TB, f *nft.Filter, n int) owner.Owner {
	t.Helper()
	o := owner.Of("net", fmt.Sprint("c", n), "eth0")
	four := netip.MustParsePrefix("10.1.0.0/16")
	addr := netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})
	for _, c := range []firewall.Claim{
		{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: addr, Subnet: four}}},
		{Role: firewall.Publish, Ports: []firewall.Port{{Protocol: 6, HostPort: uint16(10000 + n), Target: netip.AddrPortFrom(addr, 80), Subnet: four, SNAT: firewall.SNATHairpin},
			{Protocol: 6, HostPort: 80, Target: netip.AddrPortFrom(addr, 80), Conditions: []firewall.Condition{{Link: fmt.Sprint("up", n)}}}}},
		{Role: firewall.Antispoof, Spoof: []firewall.Spoof{{Link: o.HostLink(), MAC: []byte{2, 0, 0, 0, byte(n >> 8), byte(n)}}}},
		{Role: firewall.Forward, Pass: []netip.Addr{addr}},
	} {
		_, err := f.Hold(t.Context(), o, c, nil)
		must(t, err)
	}
	return o
}

// begun is a watch that runs until the test ends. said gets its lines.
func begun(t *testing.T, run string, repair func(context.Context) error) (said chan string) {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	said, ready, ended := make(chan string, 1000), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Run: run, Names: []string{strings.TrimSpace(string(comm))}, Repair: repair, Say: func(s string) { said <- s }, Ready: func() { close(ready) }})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-ready
	return said
}

// says waits for a line that has the words.
func says(t *testing.T, said chan string, words ...string) string {
	t.Helper()
	late := time.After(slack.Of(10 * time.Second))
	var others []string
	for {
		select {
		case line := <-said:
			if !containsAll(line, words) {
				others = append(others, line)
				continue
			}
			return line
		case <-late:
			t.Fatalf("not said: %q; but: %q", words, others)
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(line, word) {
			return false
		}
	}
	return true
}

func nothing(context.Context) error { return nil }

// TestSwept takes away all that can be taken, by the program that people take it away with, and asks for the same ruleset again.
func TestSwept(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run := t.TempDir()
		f := nft.Open().Remember(run)
		defer f.Close()
		for n := range 3 {
			hold(t, f, n+2)
		}
		must(t, f.Ground(t.Context()))
		said := begun(t, run, nothing)
		hold(t, f, 7) // known by event alone
		before := nftool(t, "list", "ruleset")
		for name, c := range map[string]struct{ command, want string }{
			"all":               {"flush ruleset", "table inet trestle_forward"},
			"a table":           {"delete table inet trestle", "table inet trestle"},
			"another":           {"delete table bridge trestle", "table bridge trestle"},
			"a chain's rules":   {"flush chain inet trestle postrouting", "table inet trestle"},
			"a table's rules":   {"flush table inet trestle_forward", "table inet trestle_forward"},
			"a set's elements":  {"flush set inet trestle masq4", "4 elements"},
			"one element":       {"delete element inet trestle masq4 { 10.1.0.3 }", "1 elements"},
			"a range":           {"flush set inet trestle direct4", "4 elements"},
			"conditional rules": {"flush chain inet trestle conditional", "4 rules"},
			"two at once":       {"delete table inet trestle; delete table bridge trestle", "table bridge trestle"},
			"a file restored":   {"flush ruleset; add table ip mine", "table inet trestle"},
		} {
			nftool(t, c.command)
			says(t, said, "made again", c.want, "nft (process ")
			if after := nftool(t, "list", "ruleset"); sorted(after) != sorted(before) {
				if name == "a file restored" {
					nftool(t, "delete table ip mine")
					continue
				}
				t.Fatalf("%s: before:\n%s\nafter:\n%s", name, before, after)
			}
		}
	})
}

// sorted are the lines of a ruleset in an order that is none: tables and elements come back in another.
func sorted(text string) string {
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	for i := range words {
		for j := i; j > 0 && words[j] < words[j-1]; j-- {
			words[j], words[j-1] = words[j-1], words[j]
		}
	}
	return strings.Join(words, " ")
}
