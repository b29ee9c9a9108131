package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// hidden are lists, after the bridge, by which a port is asked for twice: what the runtime asks for, and the entries, of the backend B.
var hidden = map[string]struct{ asked, entries string }{
	"one call":         {eighty + ", " + eightyOne, `{"type": "portmap", B, "capabilities": {"portMappings": true}}`},
	"one address":      {onOne(eighty) + ", " + onOne(eightyOne), `{"type": "portmap", B, "capabilities": {"portMappings": true}}`},
	"address and all":  {onOne(eighty) + ", " + eightyOne, `{"type": "portmap", B, "capabilities": {"portMappings": true}}`},
	"without snat":     {eighty + ", " + eightyOne, `{"type": "portmap", B, "snat": false, "capabilities": {"portMappings": true}}`},
	"two entries":      {eighty, `{"type": "portmap", B, "capabilities": {"portMappings": true}}, {"type": "portmap", B, "runtimeConfig": {"portMappings": [` + eightyOne + `]}}`},
	"entries, no snat": {eighty, `{"type": "portmap", B, "snat": false, "capabilities": {"portMappings": true}}, {"type": "portmap", B, "snat": false, "runtimeConfig": {"portMappings": [` + eightyOne + `]}}`},
	"three entries": {eighty, `{"type": "portmap", B, "runtimeConfig": {"portMappings": [{"hostPort": 9090, "containerPort": 81, "protocol": "tcp"}]}},
		{"type": "portmap", B, "capabilities": {"portMappings": true}}, {"type": "portmap", B, "masqAll": true, "runtimeConfig": {"portMappings": [` + eightyOne + `]}}`},
}

const (
	eighty    = `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}`
	eightyOne = `{"hostPort": 8080, "containerPort": 81, "protocol": "tcp"}`
)

func onOne(mapping string) string {
	return strings.Replace(mapping, "}", `, "hostIP": "192.0.2.1"}`, 1)
}

// TestFirstCounts: a port that a list leads to two ports of a container leads to the first, as on the reference 1.10.0, which is run beside; for CHECK, too, and when the rules were
// made again after a flush.
func TestFirstCounts(t *testing.T) {
	for name, h := range hidden {
		for _, backend := range backends {
			t.Run(name+"/"+backend, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					w := newStreet(t)
					w.container("one")
					w.serveAs("first", "one", "tcp", ":80")
					w.serveAs("second", "one", "tcp", ":81")
					entries := strings.ReplaceAll(h.entries, "B,", `"backend": "`+backend+`",`)
					call := func(suite, script string) {
						t.Helper()
						shell(t, countedFirst+script, suite, h.asked, entries)
						if leads := w.hears(outsider, "tcp", "192.0.2.1:8080", "first"); leads != !strings.Contains(script, "del n") {
							t.Errorf("%s, %s: it leads to the first: %v", suite, script, leads)
						}
					}
					call(reference.Newest.Dir, "cnitool add n $c; cnitool check n $c")
					call(reference.Newest.Dir, "cnitool del n $c")
					call(os.Getenv(pluginsVar), "nft flush ruleset; cnitool add n $c; cnitool check n $c")
					call(os.Getenv(pluginsVar), "trestle repair | grep '0 mended, 1 were whole'; cnitool check n $c")
					call(os.Getenv(pluginsVar), "nft flush ruleset; trestle repair; trestle repair | grep '0 mended, 1 were whole'; cnitool check n $c")
					call(os.Getenv(pluginsVar), `cnitool del n $c; [ -z "$(nft list ruleset | grep -E '8080|9090')" ]`)
				})
			})
		}
	}
}

const countedFirst = `mkdir -p /run/net.d; c=/run/netns/one; export CNI_PATH=$1 PATH=$1:$PATH CAP_ARGS='{"portMappings": ['$2']}'
cat > /run/net.d/n.conflist <<END
{"cniVersion": "1.1.0", "name": "n", "plugins": [{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}, $3]}
END
`

// surpluses put beside what a list asks for what it does not, with its owner's mark; each under a backend, and in a list that has portmap once, or twice, with 9090 in the second.
var surpluses = map[string]struct {
	backend, plant, want string
	twice                bool
}{
	"asked for no longer":      {backend: "nftables", plant: asked80, want: "host port 9191/tcp: expected nothing, found 10.61.0.2:80"},
	"asked for no longer, nat": {backend: "iptables", plant: asked80, want: "host port 9191/tcp: expected nothing, found 10.61.0.2:80"},
	"by hand, nat":             {backend: "iptables", plant: byHand, want: "host port 22/tcp: expected nothing, found 10.61.0.2:22"},
	"by hand, nat, twice":      {backend: "iptables", plant: byHand, want: "expected 3, found 4", twice: true},
	"by hand, twice":           {backend: "nftables", plant: `tag=$(nft list map inet trestle dnat4 | grep -o 'comment "t1[^"]*"' | head -n 1); nft "add element inet trestle dnat4 { tcp . 22 $tag : 10.61.0.2 . 22 }"`, want: "expected a count of", twice: true},
	"under conditions":         {backend: `nftables", "conditionsV4": ["ip", "saddr", "10.0.0.0/8"], "x": "`, plant: asked80, want: "too many: 1"},
}

const (
	asked80 = `export CAP_ARGS='{"portMappings": [` + eighty + `]}'`
	byHand  = `chain=$(iptables -t nat -S | sed -n 's/^-N \(CNI-DN-.*\)/\1/p'); iptables -t nat -A $chain -p tcp --dport 22 -j DNAT --to-destination 10.61.0.2:22`
)

// TestSurplus: CHECK names a port that bears its owner's mark and that the list does not ask for; of several entries of the list it says that there is one. It is content without.
func TestSurplus(t *testing.T) {
	for name, s := range surpluses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "one")
				entries := `{"type": "portmap", "backend": "` + s.backend + `", "capabilities": {"portMappings": true}}`
				if s.twice {
					entries += `, {"type": "portmap", "backend": "` + s.backend + `", "runtimeConfig": {"portMappings": [{"hostPort": 9090, "containerPort": 90, "protocol": "tcp"}]}}`
				}
				shell(t, countedFirst+`cnitool add n $c; cnitool check n $c; `+s.plant+`
cnitool check n $c 2>&1 | tee /dev/stderr | grep -F "$4"
cnitool del n $c; [ -z "$(nft list ruleset | grep -E '8080|9090|9191')" ]`, os.Getenv(pluginsVar), eighty+`, {"hostPort": 9191, "containerPort": 80, "protocol": "tcp"}`, entries, s.want)
			})
		})
	}
}

// TestFailedEntry has the second of two entries fail when it has made its part, since nobody takes its result: what the first has made is as it was, and passes traffic.
func TestFailedEntry(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				w := newStreet(t)
				w.container("one")
				w.attach("one", network(`"isDefaultGateway": true, `+hostLocal(subnet)))
				w.serve("one", "tcp", ":80")
				keys := fmt.Sprintf(`"backend": %q`, backend)
				first, passes := w.ports("one", keys, eighty), fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "net", "type": "firewall", %s, "prevResult": %s}`, keys, w.results["one"])
				succeed(t, "ADD", "portmap", "one", first)
				succeed(t, "ADD", "firewall", "one", passes)
				before := rulesNow(t)
				for plugin, second := range map[string]string{"portmap": w.ports("one", keys+`, "masqAll": true`, eighty, eightyOne, mapping("udp", 53, 53, "")),
					"firewall": strings.Replace(passes, `"ips": [`, `"ips": [{"address": "10.1.0.9/24"}, `, 1)} {
					full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
					must(t, err)
					cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), plugin))
					cmd.Stdin, cmd.Stdout = strings.NewReader(second), full
					cmd.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=one", "CNI_NETNS=" + netnsDir + "one", "CNI_IFNAME=eth0", "CNI_PATH=" + os.Getenv(pluginsVar), "PATH=/usr/sbin:/usr/bin"}
					if err := cmd.Run(); err == nil {
						t.Errorf("%s: succeeded, with nobody to tell", plugin)
					}
					if diff := cmp.Diff(before, rulesNow(t)); diff != "" {
						t.Errorf("%s (-before +after):\n%s", plugin, diff)
					}
				}
				succeed(t, "CHECK", "portmap", "one", first)
				succeed(t, "CHECK", "firewall", "one", passes)
				w.gets("one", "192.0.2.1:8080")
			})
		})
	}
}

// rulesNow is the packet filter in a fixed order, without what is counted and what is on its way out.
func rulesNow(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("/usr/sbin/nft", "-j", "list", "ruleset").Output()
	must(t, err)
	text := regexp.MustCompile(`"(handle|packets|bytes|expires|timeout)": \d+,? ?`).ReplaceAllString(string(out), "")
	lines := strings.Split(strings.ReplaceAll(text, "{", "\n{"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
