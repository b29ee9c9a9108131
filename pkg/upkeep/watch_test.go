package upkeep

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

var must = nstest.Must

func nftool(t testing.TB, args ...string) string {
	t.Helper()
	return nstest.Program(t, "", "nft", args...)
}

// filter is one that remembers, and where it does.
func filter(t *testing.T) (run string, f *nft.Filter) {
	t.Helper()
	run = t.TempDir()
	f = nft.Open().Remember(run)
	t.Cleanup(func() { must(t, f.Close()) })
	return run, f
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
func begun(t *testing.T, run string, repair func(context.Context, []string) error) (said chan string) {
	t.Helper()
	return patient(t, run, 0, repair)
}

// patient is begun, by a watch that leaves alone for so long what is deleted on purpose.
func patient(t *testing.T, run string, patience time.Duration, repair func(context.Context, []string) error) (said chan string) {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	said, ready, ended := make(chan string, 1000), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Run: run, Names: []string{strings.TrimSpace(string(comm))}, Repair: repair, Say: func(s string) { said <- s }, Ready: func() { close(ready) },
			Patience: patience, Results: filepath.Join(run, "results")})
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

func nothing(context.Context, []string) error { return nil }

// TestSwept takes away all that can be taken, by the program that people take it away with, and asks for the same ruleset again.
func TestSwept(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
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
				t.Fatalf("%s (-before +after):\n%s", name, cmp.Diff(sorted(before), sorted(after)))
			}
		}
	})
}

// sorted are the lines of a ruleset in an order that is none: tables and elements come back in another.
func sorted(text string) string {
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	slices.Sort(words)
	return strings.Join(words, "\n")
}

// TestHabit lets somebody delete a table again and again: it is made again three times, then left, and a flush of all brings it back.
func TestHabit(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		said := begun(t, run, nothing)
		for range often {
			nftool(t, "delete table inet trestle")
			says(t, said, "made again: table inet trestle", "nft (process ", "had removed table inet trestle")
		}
		nftool(t, "delete table inet trestle")
		says(t, said, "leaves alone until", "table inet trestle, which nft (process ")
		nftool(t, "delete table bridge trestle") // that is none of his habit
		says(t, said, "made again: table bridge trestle")
		if text := nftool(t, "list tables"); strings.Contains(text, "inet trestle\n") {
			t.Errorf("made again, against somebody who means it:\n%s", text)
		}
		for range 2 * often { // a whole flush is no habit
			nftool(t, "flush ruleset")
			says(t, said, "made again: table inet trestle, table bridge trestle")
		}
	})
}

// TestOwnWork flushes a chain: to put it back the table is made anew, and that is nobody's removal.
func TestOwnWork(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		said := begun(t, run, nothing)
		for _, chain := range []string{"trestle postrouting", "trestle prerouting", "trestle output", "trestle egress4", "trestle egress6", "trestle_forward forward"} {
			nftool(t, "flush chain inet "+chain)
			if line := says(t, said, "made again: table inet "); !strings.Contains(line, "nft (process ") {
				t.Errorf("chain %s: %s", chain, line)
			}
		}
		nftool(t, "delete table bridge trestle")
		if line := says(t, said, ""); !strings.HasPrefix(line, "made again: table bridge trestle") {
			t.Errorf("of our own work was said: %s", line)
		}
	})
}

// TestPause asks for a rest, in which all stays as it is, and ends it.
func TestPause(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		asked := make(chan struct{}, 10)
		said := begun(t, run, func(context.Context, []string) error { asked <- struct{}{}; return nil })
		<-asked // the one that it begins with
		must(t, Pause{Since: time.Now(), Why: "a try"}.Write(run))
		says(t, said, "rests: until trestle resume: a try")
		nftool(t, "flush ruleset")
		hold(t, f, 3) // what an ADD needs it makes
		before := nftool(t, "list ruleset")
		if strings.Contains(before, "net/c2/eth0") || !strings.Contains(before, "net/c3/eth0") {
			t.Errorf("in a rest:\n%s", before)
		}
		if was, err := Resume(run); !was || err != nil {
			t.Errorf("resumed: %t, %v", was, err)
		}
		says(t, said, "made again", "of 1 attachments")
		<-asked
		if text := nftool(t, "list ruleset"); !strings.Contains(text, "net/c2/eth0") {
			t.Errorf("after a rest:\n%s", text)
		}
		must(t, Pause{Since: time.Now(), Until: time.Now().Add(time.Second)}.Write(run))
		says(t, said, "rests: until 2")
		nftool(t, "flush ruleset")
		says(t, said, "goes on after a rest")
		says(t, said, "made again", "of 2 attachments")
		if was, err := Resume(run); !was || err != nil {
			t.Errorf("its file: %t, %v", was, err)
		}
	})
}

// TestGone has a DEL begin: what it no longer finds is not put back, and what is locked is put back when the verb at work has ended.
func TestGone(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		one, two := hold(t, f, 2), hold(t, f, 3)
		hold(t, f, 4)
		said := begun(t, run, nothing)
		a, err := admit(run)
		must(t, err)
		if !a.admits(two.ID, false) {
			t.Fatal("locked already")
		}
		must(t, gone.Note(run, one.ID))
		nftool(t, "flush ruleset")
		says(t, said, "made again", "of 1 attachments")
		if text := nftool(t, "list ruleset"); strings.Contains(text, "net/c2/eth0") || strings.Contains(text, "net/c3/eth0") {
			t.Errorf("a container that is deleted, or is worked on:\n%s", text)
		}
		a.end()
		says(t, said, "made again", "of 1 attachments, when the verb that was at work had ended")
		nftool(t, "flush ruleset")
		says(t, said, "made again", "of 2 attachments")
		if text := nftool(t, "list ruleset"); strings.Contains(text, "net/c2/eth0") {
			t.Errorf("a container that is deleted:\n%s", text)
		}
	})
}

// TestWhat names what went by the largest that has all of it.
func TestWhat(t *testing.T) {
	for want, removed := range map[string][]nft.Removed{
		"":                                  nil,
		"table inet trestle":                {{Table: "inet trestle", Chain: "a"}, {Table: "inet trestle", Whole: true}},
		"chain a of table inet x":           {{Table: "inet x", Chain: "a"}, {Table: "inet x", Chain: "a", Whole: true}},
		"rule of chain a of table inet x":   {{Table: "inet x", Chain: "a"}},
		"element 0a of set s of table ip x": {{Table: "ip x", Set: "s", Key: "0a"}},
		"set s of table ip x":               {{Table: "ip x", Set: "s", Key: "0a"}, {Table: "ip x", Set: "s", Key: "0b"}},
		"chain b of table inet x":           {{Table: "inet x", Chain: "b"}, {Table: "inet x", Chain: "b"}},
		"table ip y":                        {{Table: "ip y", Chain: "a"}, {Table: "ip y", Chain: "b"}},
		"table ip x":                        {{Table: "ip x", Set: "s", Key: "0a"}, {Table: "ip x", Chain: "a"}},
	} {
		told := nft.Told{Removed: removed}
		if got := told.What(); got != want {
			t.Errorf("%v: %q, want %q", removed, got, want)
		}
	}
	both := nft.Told{Removed: []nft.Removed{{Table: "ip x", Whole: true}, {Table: "ip y", Whole: true}}}
	if got := both.What(); got != "" {
		t.Errorf("two tables: %q", got)
	}
}

// TestHabits counts.
func TestHabits(t *testing.T) {
	h, now := make(habits), time.Now()
	del := func(program, what string, after time.Duration) time.Duration {
		now = now.Add(after)
		until := h.deleted(program, what, now, time.Minute)
		if until.IsZero() {
			return 0
		}
		return until.Sub(now)
	}
	for i, c := range []struct {
		program, what string
		after, want   time.Duration
	}{
		{"nft", "table a", time.Second, 0}, {"nft", "table a", time.Second, 0}, {"nft", "table b", 0, 0}, {"iptables", "table a", 0, 0},
		{"nft", "table a", time.Second, 0}, {"nft", "table a", time.Second, time.Minute}, {"nft", "table a", 30 * time.Second, 30 * time.Second},
		{"nft", "table b", 2 * time.Second, 0}, {"nft", "table a", time.Minute, 2 * time.Minute}, {"nft", "table a", 3 * time.Minute, 4 * time.Minute},
		{"iptables", "table a", time.Hour, 0}, {"nft", "table a", time.Hour, 0},
	} {
		if got := del(c.program, c.what, c.after); got != c.want {
			t.Errorf("%d: %s deletes %s: left for %s, want %s", i, c.program, c.what, got, c.want)
		}
	}
}
