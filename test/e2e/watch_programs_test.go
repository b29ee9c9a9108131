package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
				grown(t) // one that is as new as the first question would be a reason for another
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

// grown makes all results that a runtime has written an hour old.
func grown(t *testing.T) {
	t.Helper()
	results, err := filepath.Glob("/var/lib/cni/results/*")
	must(t, err)
	for _, result := range results {
		must(t, os.Chtimes(result, time.Time{}, time.Now().Add(-time.Hour)))
	}
}

// startsCounted returns what says how often each program of iptables was asked for rules since.
func startsCounted(t *testing.T) func() map[string]int {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	nstest.Announced(t, log, "iptables-restore", "iptables-save", "ip6tables-restore", "ip6tables-save")
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
