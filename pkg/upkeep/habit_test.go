package upkeep

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/gone"
	"github.com/trestle-cni/trestle/test/nstest"
)

// handled deletes the rule that has the words, by its number.
func handled(t *testing.T, program, chain, words string) {
	t.Helper()
	for line := range strings.Lines(nftool(t, "-a", "list", "chain", "inet", "trestle", chain)) {
		if m := regexp.MustCompile(`# handle (\d+)`).FindStringSubmatch(line); m != nil && strings.Contains(line, words) {
			nstest.Program(t, "", program, "delete", "rule", "inet", "trestle", chain, "handle", m[1])
			return
		}
	}
	t.Fatalf("chain %s has no rule with %q", chain, words)
}

// TestHabitOf lets somebody delete one thing again and again: the fourth time that is left alone, and nothing else is, until he, or time, says otherwise.
func TestHabitOf(t *testing.T) {
	t.Parallel()
	command := func(line string) func(*testing.T) { return func(t *testing.T) { nftool(t, line) } }
	for name, c := range map[string]struct {
		remove      func(*testing.T)
		what        string
		where, sign string // of what is there while it is there
	}{
		"a rule": {func(t *testing.T) { handled(t, "nft", "postrouting", "masq4") }, `rule "ip saddr @masq4 jump egress4" of chain postrouting of table inet trestle`,
			"chain inet trestle postrouting", "masq4"},
		"a rule of somebody's": {func(t *testing.T) { handled(t, "nft", "conditional", "net/c2/eth0") }, "of chain conditional of table inet trestle",
			"chain inet trestle conditional", "net/c2/eth0"},
		"a chain": {command("flush chain inet trestle hostports"), "chain hostports of table inet trestle", "chain inet trestle hostports", "dnat4"},
		"a chain with a hook": {command("delete chain inet trestle guard"), "chain guard of table inet trestle",
			"table inet trestle", "127.0.0.0/8 iif"},
		"a chain of rules of some": {command("flush chain inet trestle conditional"), "chain conditional of table inet trestle", "chain inet trestle conditional", "dnat"},
		"a chain that others share": {command("flush chain inet trestle_forward forward"), "chain forward of table inet trestle_forward",
			"chain inet trestle_forward forward", "pass4"},
		"an element": {command("delete element inet trestle masq4 { 10.1.0.2 }"), "element 0a010002 of set masq4", "set inet trestle masq4", "10.1.0.2"},
		"a set":      {command("flush set inet trestle masq4"), "set masq4 of table inet trestle", "set inet trestle masq4", "10.1.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				run, f := filter(t)
				hold(t, f, 2)
				hold(t, f, 3)
				said := begun(t, run, nothing)
				there := func() bool {
					return strings.Contains(nftool(t, append([]string{"list"}, strings.Fields(c.where)...)...), c.sign)
				}
				for range often {
					c.remove(t)
					says(t, said, "made again", "had removed ", c.what)
				}
				c.remove(t)
				says(t, said, "leaves alone until", c.what)
				nftool(t, "delete element bridge trestle "+spoofed(t)) // that is no habit
				says(t, said, "made again: 1 elements")
				nftool(t, "flush chain inet trestle egress4") // nor is what is beside it, of one table
				says(t, said, "made again: table inet trestle")
				if there() {
					t.Errorf("made again, against somebody who means it: %s", nftool(t, "list", "ruleset"))
				}
				if was, err := Resume(run); was || err != nil {
					t.Errorf("resumed: %t, %v", was, err)
				}
				says(t, said, "made again")
				if !there() {
					t.Errorf("not made again: %s", nftool(t, "list", "ruleset"))
				}
			})
		})
	}
}

// spoofed is an element of the table for frames.
func spoofed(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?s)(?:set|map) (\w+) \{[^}]*elements = \{ ([^,}]*?)(?: comment "[^"]*")?(?: : [^,}]*)?[,}]`)
	for _, found := range m.FindAllStringSubmatch(nftool(t, "list", "table", "bridge", "trestle"), -1) {
		if found[1] != "attachment" {
			return fmt.Sprintf("%s { %s }", found[1], found[2])
		}
	}
	t.Fatalf("nothing in it: %s", nftool(t, "list", "table", "bridge", "trestle"))
	return ""
}

// TestHabitsOfTwo has two programs delete one rule by turns: neither does it a fourth time, until one does. When the time is over it is made again.
func TestHabitsOfTwo(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		path, err := exec.LookPath("nft")
		must(t, err)
		other := filepath.Join(t.TempDir(), "other")
		must(t, os.Symlink(path, other))
		said := patient(t, run, time.Second, nothing)
		for range often {
			for _, program := range []string{"nft", other} {
				handled(t, program, "postrouting", "masq4")
				says(t, said, "made again", filepath.Base(program)+" (process ")
			}
		}
		handled(t, other, "postrouting", "masq4")
		says(t, said, "leaves alone until", "which other (process ")
		says(t, said, "made again: table inet trestle") // when the second is over
		handled(t, "nft", "postrouting", "masq6")
		says(t, said, "made again")
		handled(t, other, "postrouting", "masq4") // he goes on, and is left alone at once
		says(t, said, "leaves alone until")
	})
}

// TestReload loads a ruleset that is without ours again and again, and flushes chains of others': that is against nobody, and is always mended.
func TestReload(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		nftool(t, "add table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }")
		_, err := f.Anchor(t.Context(), firewall.AdminChain)
		must(t, err)
		said := begun(t, run, nothing)
		for range 2 * often {
			nftool(t, "flush ruleset; add table ip mine")
			says(t, said, "made again: table inet trestle")
			nftool(t, "flush ruleset inet; add table ip6 more")
			says(t, said, "made again: table inet trestle")
			nftool(t, "add table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }")
			says(t, said, "made again: 1 rules")
			nftool(t, "flush chain ip filter FORWARD")
			says(t, said, "made again: 1 rules", "had removed ")
		}
		for range often - 1 { // for the kernel a flush of a chain that has one rule is no other
			nftool(t, "delete rule ip filter FORWARD handle "+anchored(t))
			says(t, said, "made again: 1 rules", firewall.Anchor)
		}
		nftool(t, "delete rule ip filter FORWARD handle "+anchored(t))
		says(t, said, "leaves alone until", firewall.Anchor)
		nftool(t, "add rule ip filter FORWARD counter")
		nftool(t, "delete element inet trestle masq4 { 10.1.0.2 }")
		says(t, said, "made again: 1 elements")
		if rules := nftool(t, "list", "chain", "ip", "filter", "FORWARD"); strings.Contains(rules, mark) {
			t.Errorf("made again, against somebody who means it: %s", rules)
		}
	})
}

// mark is what the anchor accepts; its comment nft does not print.
const mark = "0x01000000"

// anchored is the number of the anchor.
func anchored(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(mark + `.*# handle (\d+)`).FindStringSubmatch(nftool(t, "-a", "list", "chain", "ip", "filter", "FORWARD"))
	if m == nil {
		t.Fatalf("no anchor: %s", nftool(t, "-a", "list", "chain", "ip", "filter", "FORWARD"))
	}
	return m[1]
}

// TestTwoWatches begins a second watch: it is refused, and the first goes on, to whom DELs still tell that they begin.
func TestTwoWatches(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		one := hold(t, f, 2)
		hold(t, f, 3)
		said := begun(t, run, nothing)
		if err := Run(t.Context(), Options{Run: run, Repair: nothing, Say: func(string) {}}); !errors.Is(err, ErrOther) {
			t.Errorf("a second one: %v", err)
		}
		must(t, gone.Note(run, one.ID))
		nftool(t, "flush ruleset")
		says(t, said, "made again", "of 1 attachments")
		if text := nftool(t, "list", "ruleset"); strings.Contains(text, "net/c2/eth0") {
			t.Errorf("a container that is deleted:\n%s", text)
		}
	})
}
