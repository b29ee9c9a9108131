package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// flips is how often each verb is called while its path leads now to the container and now to the host.
const flips = 60

// TestFlippingPath gives plugins a path that another process makes lead to the host's own namespace and to the container's in turn, as fast as it
// can. What was looked at is what is used: a call works in the container, or says that it was given the host's namespace, and the host stays
// as it is.
func TestFlippingPath(t *testing.T) {
	keys := `"isDefaultGateway": true, ` + hostLocal(subnet)
	chain := `{"cniVersion": "1.1.0", "name": "net", "type": "trestle", "plugins": [{"type": "loopback"}, {"type": "bridge", ` + keys + `}]}`
	for name, c := range map[string]struct{ plugin, ifName, config string }{
		"bridge":   {"bridge", "eth0", network(keys)},
		"loopback": {"loopback", "lo", loConfig},
		"chain":    {"trestle", "eth0", chain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				path := nstest.Namespace(t, "c1")
				for _, verb := range []string{"ADD", "DEL"} { // what containers share is there
					succeed(t, verb, "bridge", "c1", network(keys))
				}
				before := ownLinks(t)
				defer flipping(t, "/run/flip", path, "/proc/self/ns/net")()
				made := 0
				for range flips {
					for _, verb := range []string{"ADD", "CHECK", "DEL"} {
						got, err := invoke(verb, c.plugin, "c1", c.config, "CNI_NETNS=/run/flip", "CNI_IFNAME="+c.ifName)
						must(t, err)
						if verb == "ADD" && got.Status == 0 {
							made++
						} else if verb == "ADD" && got.Code != fault.Namespace {
							t.Errorf("%s: code %d: %s", verb, got.Code, got.Msg)
						}
						if diff := cmp.Diff(before, ownLinks(t)); diff != "" {
							t.Fatalf("the host after %s (-want +got):\n%s", verb, diff)
						}
					}
					succeed(t, "DEL", c.plugin, "c1", c.config, "CNI_IFNAME="+c.ifName)
				}
				if made == 0 || made == flips {
					t.Errorf("%d of %d ADDs were given the container: the path did not flip", made, flips)
				}
			})
		})
	}
}

// ownLinks are the host's links, addresses and routes, less what is the host's end of a container's.
func ownLinks(t *testing.T) string {
	t.Helper()
	var kept []string
	for line := range strings.Lines(snapshot.Take(t)) {
		if strings.HasPrefix(line, "host ") && !strings.HasPrefix(line, "host reservation ") && !strings.Contains(line, "veth") && !strings.Contains(line, "cni0") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// flipping makes a symbolic link lead to one path and to the other in turn, several times a millisecond, until stop is called. Not without a pause: each
// renaming holds up whoever looks for a path on the machine.
func flipping(t *testing.T, link string, paths ...string) (stop func()) {
	t.Helper()
	must(t, os.Symlink(paths[0], link))
	done, stopped := make(chan struct{}), make(chan error)
	go func() {
		pause := time.NewTicker(200 * time.Microsecond)
		defer pause.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				stopped <- nil
				return
			case <-pause.C:
			}
			next := filepath.Join(filepath.Dir(link), "next")
			if err := os.Symlink(paths[i%len(paths)], next); err != nil {
				stopped <- err
				return
			}
			if err := os.Rename(next, link); err != nil {
				stopped <- err
				return
			}
		}
	}()
	return func() {
		close(done)
		must(t, <-stopped)
	}
}
