package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestGoesRound names as address plugins such as give no addresses, by their own names, by others, and through a plugin of somebody else. No verb may
// wait for itself nor call itself without end, and a DEL succeeds.
func TestGoesRound(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		delegate("through", `exec `+os.Getenv(pluginsVar)+`/bridge`)(t)
		must(t, os.Symlink(filepath.Join(os.Getenv(pluginsVar), "bridge"), "/run/plugins/again"))
		succeed(t, "GC", "bridge", "c1", network(`"cniVersion": "1.1.0", `+hostLocal(subnet))) // takes the ground along
		before := snapshot.Take(t, netnsDir+"c1")
		for _, kind := range []string{"bridge", "loopback", "portmap", "trestle", "macvlan", "again", "through"} {
			for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
				config := network(fmt.Sprintf(`"cniVersion": "1.1.0", "ipam": {"type": %q}, "plugins": [{"type": "bridge", "ipam": {"type": %q}}], "prevResult": %s`,
					kind, kind, `{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`))
				for _, plugin := range []string{"bridge", "trestle"} {
					r, err := invoke(verb, plugin, "c1", config, "CNI_PATH="+os.Getenv(pluginsVar)+":/run/plugins")
					must(t, err)
					switch {
					case verb == "DEL" && r.Status != 0:
						t.Errorf("%s DEL with %s: %s", plugin, kind, r.Out)
					case verb != "DEL" && (r.Status != 1 || r.Code != fault.Config && verb != "CHECK"):
						t.Errorf("%s %s with %s: status %d %s, want code 7", plugin, verb, kind, r.Status, r.Out)
					}
				}
			}
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("left:\n%s", diff)
		}
	})
}

// TestEndsAtOnce wants STATUS and GC to end when they are asked to, although the plugin that they wait for has not said a word.
func TestEndsAtOnce(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		must(t, unix.Mkfifo("/run/asked", 0o600))
		must(t, unix.Mkfifo("/run/never", 0o600))
		delegate("slow", `echo now >/run/asked; read answer </run/never`)(t)
		for _, verb := range []string{"STATUS", "GC", "CHECK"} {
			nstest.Namespace(t, verb)
			var out strings.Builder
			cmd := exec.Command(os.Getenv(pluginsVar) + "/bridge")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=" + verb, "CNI_PATH=/run/plugins",
				"CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + verb, "CNI_IFNAME=eth0"}
			cmd.Stdin = strings.NewReader(network(`"cniVersion": "1.1.0", "ipam": {"type": "slow"}, "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`))
			cmd.Stdout = &out
			must(t, cmd.Start())
			if _, err := os.ReadFile("/run/asked"); err != nil { // comes back when the delegate has written
				t.Fatal(err)
			}
			must(t, cmd.Process.Signal(unix.SIGTERM))
			var got reply
			if err := cmd.Wait(); err == nil {
				t.Errorf("%s: ended, and reports success", verb)
			}
			if must(t, json.Unmarshal([]byte(out.String()), &got)); got.Code != fault.Interrupted {
				t.Errorf("%s: code %d: %s, want %d", verb, got.Code, got.Msg, fault.Interrupted)
			}
		}
	})
}

// TestLargeInput sends each plugin as much as it takes, and a byte more.
func TestLargeInput(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		for _, plugin := range []string{"bridge", "ptp", "host-local", "static", "loopback", "portmap", "trestle"} {
			config := network(`"cniVersion": "1.1.0", "type": "` + plugin + `", "plugins": [{"type": "loopback"}]`)
			fits := config + strings.Repeat(" ", plainfile.Most-len(config))
			succeed(t, "DEL", plugin, "c1", fits)
			for _, verb := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS"} {
				if got, err := invoke(verb, plugin, "c1", fits+" "); err != nil || got.Code != fault.IO || !strings.Contains(got.Msg, "more than 16 MiB") {
					t.Errorf("%s of %s with a byte too many: %v, code %d: %s", verb, plugin, err, got.Code, got.Msg)
				}
			}
		}
	})
}
