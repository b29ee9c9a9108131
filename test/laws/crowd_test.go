package laws_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/laws"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// crowdSize says how many containers arrive at once, and how often. Under iptables each call waits for the others, and runs a dozen programs.
func crowdSize(backend string) (containers, rounds int) {
	switch {
	case os.Getenv("TRESTLE_LONG") != "" && backend == "iptables":
		return slack.Crowd(150), 10 // the last has to have had his turn within the time of one call
	case os.Getenv("TRESTLE_LONG") != "":
		return slack.Crowd(500), 10
	case backend == "iptables":
		return slack.Crowd(12), 1
	}
	return slack.Crowd(60), 2
}

// TestCrowd holds law 8 for a crowd of containers, each with a masqueraded address and two published ports, that come to a virgin host at once.
func TestCrowd(t *testing.T) {
	for _, backend := range []string{"nftables", "iptables"} {
		t.Run(backend, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				w := world(t, dense(t, backend))
				w.Crowd, w.Rounds = crowdSize(backend)
				w.Settle()
				must(t, laws.Together(w))
			})
		})
	}
}

// dense is the network of conf/20-ports.conflist under a backend, with room for a crowd.
func dense(t *testing.T, backend string) laws.Chain {
	t.Helper()
	text, err := os.ReadFile("../../conf/20-ports.conflist")
	must(t, err)
	list := strings.NewReplacer("10.20.0.0/24", "10.20.0.0/21", `"bridge": `, `"ipMasqBackend": `+strconv.Quote(backend)+`, "bridge": `,
		`"type": "portmap",`, `"type": "portmap", "backend": `+strconv.Quote(backend)+`,`).Replace(string(text))
	file := filepath.Join(t.TempDir(), "dense-"+backend+".conflist")
	must(t, os.WriteFile(file, []byte(list), 0o644))
	chain, err := laws.ReadList(file)
	must(t, err)
	return chain
}

// TestStorm has random calls, some of which are killed, done to a network under each backend.
func TestStorm(t *testing.T) {
	for backend, calls := range map[string]int{"nftables": 300, "iptables": 60} {
		if os.Getenv("TRESTLE_LONG") != "" {
			calls = 10000
		}
		t.Run(backend, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				w := world(t, dense(t, backend))
				w.Settle()
				s := &laws.Storm{World: w, Calls: calls, Long: map[string]time.Duration{"nftables": 40 * time.Millisecond, "iptables": 200 * time.Millisecond}[backend],
					Seed: uint64(time.Now().UnixNano())}
				t.Logf("seed %d", s.Seed)
				must(t, s.Run())
			})
		})
	}
}
