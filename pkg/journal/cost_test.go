package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// costVar makes this test binary a plugin that makes one call, and prints what its line cost it, in nanoseconds: all but the call itself. A plugin lives for
// one call, so whatever is done for the first time in a process is done for each line.
const costVar = "JOURNAL_TEST_COST"

func cost() time.Duration {
	env := map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": strings.Repeat("0123456789abcdef", 4), "CNI_IFNAME": "eth0",
		"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-5d8c7b9f4-x2x7q", Variable: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	var config struct {
		Name string
		IPAM map[string]any
	}
	if err := json.Unmarshal([]byte(`{"name": "node", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.85.0.0/16"}]]}}`), &config); err != nil {
		panic(err) // every plugin reads a configuration
	}
	runtime.LockOSThread()
	began := processor()
	ctx, call := Begin(context.Background(), "bridge", env)
	for i := range 30 { // as many as an ADD of bridge, host-local and portmap has
		phase.End(ctx, "make", "step", i)
	}
	call.End("node", []byte(`{"cniVersion":"1.1.0","interfaces":[{"name":"cni0"},{"name":"eth0","sandbox":"/run/netns/x"}],"ips":[{"address":"10.85.0.2/16","gateway":"10.85.0.1","interface":1}]}`), nil)
	return processor() - began
}

// processor is what this thread has had of the processor: on a machine with other work the clock says what that took.
func processor() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// What a call pays for its line, and what it pays where the host keeps no log: `go test ./pkg/journal -run TestCost -v` prints it.
func TestCost(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log")
		for _, to := range []string{"no file", "off", "file"} {
			must(t, os.MkdirAll(filepath.Dir(Path), 0o755))
			must(t, os.RemoveAll(Path))
			if to != "no file" {
				must(t, os.WriteFile(Path, fmt.Appendf(nil, `{"log": {"to": %q, "file": %q}}`, to, file), 0o644))
			}
			times := make([]time.Duration, 50)
			for i := range times {
				cmd := exec.Command("/proc/self/exe")
				cmd.Env = []string{costVar + "=1"}
				out, err := cmd.Output()
				must(t, err)
				n, err := strconv.Atoi(string(out))
				must(t, err)
				times[i] = time.Duration(n)
			}
			slices.Sort(times)
			t.Logf("%-8s median %v, nine of ten below %v", to, times[len(times)/2], times[len(times)*9/10])
			// Three times what it is at rest.
			if most := slack.Of(map[string]time.Duration{"no file": 150, "off": 300, "file": 600}[to] * time.Microsecond); times[len(times)/2] > most {
				t.Errorf("%s: %v, want %v at the most", to, times[len(times)/2], most)
			}
		}
		if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "\n") != 50 {
			t.Errorf("%v: %s", err, text)
		}
	})
}

// What a line costs where one was written before: a list in one process.
func BenchmarkLine(b *testing.B) {
	log := Log{To: "file", File: filepath.Join(b.TempDir(), "log"), Limit: 1 << 30}
	for b.Loop() {
		c := Call{log: log, entry: Entry{Time: time.Now(), Verb: "ADD", Plugin: "bridge", Phases: make([]Phase, 30)}}
		c.End("node", nil, nil)
	}
}
