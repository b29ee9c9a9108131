package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestLogOfACrowd has sixteen callers at a time call plugins ten thousand times, in a long run: each verb has its line, once and whole.
func TestLogOfACrowd(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		const callers, log = 16, "/run/trestle.log"
		rounds := size(10, 313)
		must(t, os.MkdirAll(filepath.Dir(journal.Path), 0o755))
		must(t, os.WriteFile(journal.Path, fmt.Appendf(nil, `{"log": {"to": "file", "file": %q, "limit": %d}}`, log, 1<<30), 0o644))
		begun := time.Now()
		var all sync.WaitGroup
		for caller := range callers {
			name := fmt.Sprint("crowd", caller)
			nstest.Namespace(t, name)
			all.Go(func() {
				for round := range rounds {
					for _, verb := range []string{"ADD", "DEL"} {
						if err := loops(verb, fmt.Sprint(name, "-", round), name); err != nil {
							t.Errorf("%s of %s: %v", verb, name, err)
						}
					}
				}
			})
		}
		all.Wait()
		took := time.Since(begun)
		text, err := os.ReadFile(log)
		must(t, err)
		seen, lines := make(map[[2]string]int), 0
		for line := range strings.Lines(string(text)) {
			var e journal.Entry
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Plugin != "loopback" || e.Code != 0 || !strings.HasSuffix(line, "}\n") {
				t.Fatalf("%v: %q", err, line)
			}
			seen[[2]string{e.Verb, e.Container}]++
			lines++
		}
		if want := 2 * callers * rounds; lines != want || len(seen) != want {
			t.Errorf("%d lines of %d verbs, want %d", lines, len(seen), want)
		}
		t.Logf("%d verbs in %s: %d lines, %d bytes", 2*callers*rounds, took, lines, len(text))
	})
}

// loops calls the plugin loopback.
func loops(verb, id, container string) error {
	cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), "loopback"))
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + id, "CNI_IFNAME=lo", "CNI_NETNS=" + netnsDir + container, "CNI_PATH=" + os.Getenv(pluginsVar)}
	cmd.Stdin = strings.NewReader(`{"cniVersion": "1.1.0", "name": "lo", "type": "loopback"}`)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
