package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// crowdSize says how many containers arrive at once, and how often.
func crowdSize() (containers, rounds int) {
	if os.Getenv("TRESTLE_LONG") != "" {
		return 200, 20
	}
	return 60, 5
}

var crowdConfig = network(`"isGateway": true, "ipMasq": true, "hairpinMode": true, ` + hostLocal(subnet))

// TestCrowd brings a crowd of containers to a virgin host at once, again and again, and holds the state to that of the same containers one
// after the other. Which container got which address, and the MAC addresses, are left to chance. They leave as they came.
func TestCrowd(t *testing.T) {
	crowd, rounds := crowdSize()
	serial := crowdState(t, "serial", func(each func(int)) {
		for i := range crowd {
			each(i)
		}
	})
	for round := range rounds {
		parallel := crowdState(t, fmt.Sprintf("round%d", round), func(each func(int)) {
			var wg sync.WaitGroup
			for i := range crowd {
				wg.Go(func() { each(i) })
			}
			wg.Wait()
		})
		if diff := snapshot.Diff(serial, parallel); diff != "" {
			t.Errorf("round %d: against one after the other:\n%s", round, diff)
		}
	}
}

// crowdState lets the crowd come and go in a host of its own, and returns the state in between. What a child process finds out must come
// back by a file.
func crowdState(t *testing.T, name string, all func(each func(int))) string {
	file := os.Getenv("E2E_STATE")
	if file == "" {
		file = t.TempDir() + "/state"
		t.Setenv("E2E_STATE", file)
	}
	t.Run(name, func(t *testing.T) {
		nstest.Run(t, func(t *testing.T) {
			crowd, _ := crowdSize()
			var paths []string
			for i := range crowd {
				paths = append(paths, nstest.Namespace(t, fmt.Sprintf("c%d", i)))
			}
			addresses := make([]netip.Prefix, crowd)
			all(func(i int) { addresses[i] = addressOf(t, crowdCall(t, "ADD", i)) })
			must(t, os.WriteFile(file, []byte(impersonal(snapshot.Take(t, paths...), addresses)), 0o644))
			all(func(i int) { crowdCall(t, "DEL", i) })
			left := snapshot.Without(snapshot.Take(t, paths...), func(line string) bool {
				return !strings.Contains(line, " eth0 ") && !strings.Contains(line, "net/c") && !strings.Contains(line, "reservation")
			})
			if left != "" {
				t.Errorf("all have gone, and left\n%s", left)
			}
		})
	})
	text, err := os.ReadFile(file)
	must(t, err)
	return string(text)
}

func crowdCall(t *testing.T, verb string, i int) []byte {
	got, err := invoke(verb, "bridge", fmt.Sprintf("c%d", i), crowdConfig)
	if err != nil || got.Status != 0 {
		t.Errorf("%s c%d: %v %+v", verb, i, err, got)
		return nil
	}
	return got.Out
}

func addressOf(t *testing.T, result []byte) netip.Prefix {
	var r struct {
		IPs []struct{ Address netip.Prefix }
	}
	if err := json.Unmarshal(result, &r); err != nil || len(r.IPs) != 1 {
		t.Errorf("no address in %s", result)
		return netip.Prefix{}
	}
	return r.IPs[0].Address
}

// impersonal writes <cN> for the address of container N, and <mac> for each MAC address.
func impersonal(text string, addresses []netip.Prefix) string {
	owners := make(map[string]string)
	for i, a := range addresses {
		owners[a.Addr().String()] = fmt.Sprintf("<c%d>", i)
	}
	text = regexp.MustCompile(`\b10\.1\.0\.\d+\b`).ReplaceAllStringFunc(text, func(address string) string {
		if owner := owners[address]; owner != "" {
			return owner
		}
		return address
	})
	text = regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`).ReplaceAllString(text, "<mac>")
	return sorted(text)
}

func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
