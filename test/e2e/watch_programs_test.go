package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestWatchProgramsOfIPTables counts what is started for a flush where rules are those of iptables: one iptables-restore, and one iptables-save when it is done, of however many
// containers the rules are.
func TestWatchProgramsOfIPTables(t *testing.T) {
	t.Parallel()
	for _, many := range []int{1, size(8, 20)} {
		t.Run(fmt.Sprint(many), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settleTabled(t, many)
				started := startsCounted(t)
				w := s.watch()
				w.says("knows what iptables has of ours")
				rules, before := saved(t), started()
				for i := range 3 {
					sweep(t)
					w.says("made again: ")
					if there := saved(t); there != rules {
						t.Errorf("flush %d:\n%s\nwant\n%s", i, there, rules)
					}
				}
				sweep(t) // what was begun for the others has ended when this one is mended: one is at work at a time
				w.says("made again: ")
				for program, most := range map[string]int{"iptables-restore": 4, "iptables-save": 4, "ip6tables-restore": 0, "ip6tables-save": 0} {
					if n := started()[program] - before[program]; n > most || n == 0 && program == "iptables-restore" {
						t.Errorf("%s was started %d times for 4 flushes, want %d", program, n, most)
					}
				}
			})
		})
	}
}

// startsCounted puts programs in front of those of iptables, for whom is started from now on, and returns what says how often each was asked for rules.
func startsCounted(t *testing.T) func() map[string]int {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, does := range []string{"restore", "save"} {
			name := family + "-" + does
			script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] || echo %s >>%s\nexec /usr/sbin/%[1]s \"$@\"\n", name, log)
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
		}
	}
	must(t, os.Setenv("PATH", dir+":"+os.Getenv("PATH"))) // of this process, which is the test's alone
	return func() map[string]int {
		text, err := os.ReadFile(log)
		must(t, err)
		count := make(map[string]int)
		for line := range strings.Lines(string(text)) {
			count[strings.TrimSpace(line)]++
		}
		return count
	}
}
