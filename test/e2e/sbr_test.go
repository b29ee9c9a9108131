package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// runIn is what a command prints in the container.
func runIn(t *testing.T, container string, words ...string) (text string) {
	t.Helper()
	must(t, nstest.In(netnsDir+container, func() error {
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		text = string(out)
		return err
	}))
	return text
}

// TestSourcedInterchange lets each suite undo what the other has led, in both directions: no rule is left, and the result is the same.
func TestSourcedInterchange(t *testing.T) {
	for _, s := range suites() {
		for name, keys := range map[string]string{"plain": "", "table": `, "table": 200`, "gateways": `, "gateways": ["10.1.0.7"]`, "hints": `, "addSourceHints": true`} {
			if s.blind && name != "plain" { // 1.1.1 has no keys
				continue
			}
			t.Run(filepath.Base(s.dir)+"/"+name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					nstest.Namespace(t, "c1")
					result := succeed(t, "ADD", "bridge", "c1", network(`"cniVersion": "1.0.0", "isDefaultGateway": true, `+hostLocal(subnet))).Out
					config := `{"cniVersion": "1.0.0", "name": "net", "type": "sbr"` + keys + `, "prevResult": ` + string(result) + `}`

					ours := succeed(t, "ADD", "sbr", "c1", config).Out
					led := runIn(t, "c1", "ip", "rule")
					s.call(t, "DEL", "sbr", "c1", config)
					if left := runIn(t, "c1", "ip", "rule"); strings.Contains(left, "10.1.0.2") {
						t.Errorf("after their DEL:\n%s", left)
					}
					succeed(t, "DEL", "sbr", "c1", config) // of which nothing is left but the tables
					runIn(t, "c1", "sh", "-c", "ip route flush table 100; ip route replace 10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.2; ip route replace default via 10.1.0.1")

					theirs := s.call(t, "ADD", "sbr", "c1", config)
					if got := runIn(t, "c1", "ip", "rule"); got != strings.NewReplacer(" proto 116", "", " proto 117", "").Replace(led) {
						t.Errorf("rules of theirs:\n%s\nof ours:\n%s", got, led)
					}
					if !sameJSON(t, ours, []byte(strings.Replace(string(theirs), `"dns": {}`, `"cniVersion": "1.0.0"`, 1))) {
						t.Errorf("result of ours:\n%s\nof theirs:\n%s", ours, theirs)
					}
					succeed(t, "CHECK", "sbr", "c1", config)
					succeed(t, "DEL", "sbr", "c1", config)
					if left := runIn(t, "c1", "ip", "rule"); strings.Contains(left, "10.1.0.2") {
						t.Errorf("after our DEL:\n%s", left)
					}
				})
			})
		}
	}
}

// TestSourcedMakesNoFile: a namespace that is not there is not made into a file, as by the reference, whose next calls then fail for ever.
func TestSourcedMakesNoFile(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		config := `{"cniVersion": "1.0.0", "name": "net", "type": "sbr"}`
		succeed(t, "DEL", "sbr", "gone", config)
		succeed(t, "DEL", "sbr", "gone", config, "CNI_NETNS=")
		if _, err := os.Stat(netnsDir + "gone"); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want none", netnsDir+"gone", err)
		}
	})
}
