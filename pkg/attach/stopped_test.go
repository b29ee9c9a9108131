package attach

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// An address plugin that was stopped (SIGSTOP) hears nobody. Whoever waits for it ends when the call's time is up, says so, and leaves no stopped process; when it
// answers again, all is as if nothing had been.
func TestStoppedDelegate(t *testing.T) {
	verbs := []string{"ADD", "CHECK", "STATUS", "GC"}
	if os.Getenv("TRESTLE_LONG") != "" {
		verbs = append(verbs, "DEL") // whose release has until the end of the whole call, a minute
	}
	for _, verb := range verbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			onBench(t, func(b *bench) {
				pid := filepath.Join(b.dir, "pid")
				script := "#!/bin/sh\n[ $CNI_COMMAND = " + verb + " ] || exit 0\necho $$ > " + pid + "\nkill -STOP $$\n"
				if err := os.WriteFile(filepath.Join(b.dir, "host-local"), []byte(script), 0o700); err != nil {
					b.Fatal(err)
				}
				short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
				defer cancel()
				_, err := b.call(short, verb, early+`,"cni.dev/valid-attachments":[],"prevResult":`+address)
				b.refused(err, fault.TryLater, "not done in")
				text, read := os.ReadFile(pid)
				if number, err := strconv.Atoi(strings.TrimSpace(string(text))); read != nil || err != nil || unix.Kill(number, 0) != unix.ESRCH {
					b.Errorf("process %q: %v, it is still there", text, read)
				}
				b.delegate("host-local", "ADD", address, false)
				b.done(b.call(ctx, "DEL", early))
			})
		})
	}
}
