package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// TestPairsAreTheReferences adds a container by ptp of the reference and of ours, and wants the same addresses, routes and settings at both ends. What either made
// the other checks and deletes, and nothing is left.
func TestPairsAreTheReferences(t *testing.T) {
	const four, both = `[{"subnet": "10.61.0.0/24"}]`, `[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd00:61::/64"}]`
	for name, keys := range map[string]string{
		"four":      pairOf(four, `{"dst": "0.0.0.0/0"}`, ""),
		"both":      pairOf(both, `{"dst": "0.0.0.0/0"}, {"dst": "::/0"}`, `"ipMasq": true, "ipMasqBackend": "iptables", `),
		"no routes": pairOf(both, "", ""),
		"narrow":    pairOf(four, `{"dst": "192.0.2.0/24"}`, `"mtu": 1400, `),
	} {
		for _, build := range reference.Builds(t) {
			t.Run(name+"/"+build.Version, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					theirs, left := pairBy(t, build.Dir, os.Getenv(pluginsVar), keys)
					ours, rest := pairBy(t, os.Getenv(pluginsVar), build.Dir, keys)
					if diff := cmp.Diff(theirs, ours); diff != "" {
						t.Errorf("(-theirs +ours):\n%s", diff)
					}
					if strings.Contains(left+rest, "61") {
						t.Errorf("left by ours of theirs:\n%s\nleft by them of ours:\n%s", left, rest)
					}
				})
			})
		}
	}
}

func pairOf(ranges, routes, more string) string {
	return more + `"ipam": {"type": "host-local", "ranges": [` + ranges + `], "routes": [` + routes + `]}`
}

// pairBy adds a container by the plugin of one directory, has that of another check and delete it, and returns what there was, and what is left on the host.
func pairBy(t *testing.T, adds, deletes, keys string) (made, left string) {
	t.Helper()
	nstest.Namespace(t, "c1")
	defer nstest.Remove(t, netnsDir+"c1")
	must(t, os.RemoveAll("/var/lib/cni/networks"))
	config := `{"cniVersion": "1.0.0", "name": "pairs", "type": "ptp", ` + keys
	result := callOf(t, adds, "ptp", "ADD", "c1", config+"}")
	made = "container:\n" + pairState(t, "-n", "c1") + "host:\n" + pairState(t)
	for _, setting := range []string{"ipv6/conf/%s/accept_ra", "ipv4/conf/%s/arp_notify", "ipv4/conf/%s/proxy_arp"} {
		text, err := os.ReadFile("/proc/sys/net/" + fmt.Sprintf(setting, hostEnd.FindString(result)))
		must(t, err)
		made += fmt.Sprintf(setting, "HOST") + " " + string(text)
	}
	config += `, "prevResult": ` + result + "}"
	if !strings.Contains(keys, "192.0.2.0/24") { // which 1.1.1 does not find where it made it itself: it looks for a route without a gateway
		callOf(t, deletes, "ptp", "CHECK", "c1", config)
	}
	callOf(t, deletes, "ptp", "DEL", "c1", config)
	return made, pairState(t)
}

// hostEnd is the name that an end on the host has.
var hostEnd = regexp.MustCompile(`veth[0-9a-f]{8,11}`)

// pairState are the addresses and routes of a namespace, without what the kernel gives each link, and how ours keep it from making routes that the reference removes.
func pairState(t *testing.T, where ...string) string {
	t.Helper()
	var lines []string
	for _, what := range []string{"-o address show scope global", "-o address show scope host", "-4 route show table all", "-6 route show table all"} {
		out, err := exec.Command("ip", append(slices.Clone(where), strings.Fields(what)...)...).Output()
		must(t, err)
		for line := range strings.Lines(hostEnd.ReplaceAllString(string(out), "HOST")) {
			line = regexp.MustCompile(`^\d+: |\\.*| noprefixroute| nodad| tentative| brd \S+| pref medium| proto \S+`).ReplaceAllString(strings.TrimSpace(line), "")
			if !strings.Contains(line, " lo") && !strings.Contains(line, "fe80") && !strings.Contains(line, "ff00::") {
				lines = append(lines, strings.Join(strings.Fields(line), " ")+"\n")
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
