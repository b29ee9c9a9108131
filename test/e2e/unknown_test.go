package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestUnknownIsNoDrift takes from a CHECK of what is whole one descriptor more each time, until it has enough. What it could not look at it must not call
// different: the remedy of that is the end of the container.
func TestUnknownIsNoDrift(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		config := network(`"isGateway": true, "ipMasq": true, "macspoofchk": true, ` + hostLocal(subnet))
		nstest.Namespace(t, "c1")
		result := succeed(t, "ADD", "bridge", "c1", config).Out
		ports := strings.NewReplacer(`"type": "bridge"`, `"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}`).Replace(config)
		for plugin, config := range map[string]string{"bridge": config, "portmap": ports} {
			config = strings.TrimSuffix(config, "}") + `, "prevResult": ` + string(result) + "}"
			if plugin == "portmap" {
				succeed(t, "ADD", plugin, "c1", config)
			}
			failed, limit := 0, 5
			for ; ; limit++ {
				r := checkWithin(t, limit, plugin, config)
				if r.Status == 0 {
					break
				}
				if failed++; r.Code == fault.Drift || limit > 100 {
					t.Fatalf("%s with %d descriptors: code %d: %s", plugin, limit, r.Code, r.Msg)
				}
			}
			if failed < 2 { // four are had where it can mount a /proc of its own
				t.Errorf("%s: failed %d times, so this has shown nothing", plugin, failed)
			}
		}
	})
}

// checkWithin is a CHECK that may have as many descriptors open. Where there are too few for the process itself it has said nothing.
func checkWithin(t *testing.T, limit int, plugin, config string) (r reply) {
	t.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d && exec %s/%s", limit, os.Getenv(pluginsVar), plugin))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=CHECK", "CNI_PATH=" + os.Getenv(pluginsVar), "CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + "c1", "CNI_IFNAME=eth0"}
	cmd.Stdin = strings.NewReader(config)
	out, err := cmd.Output()
	if err != nil {
		r.Status = 1
		_ = json.Unmarshal(out, &r) // of a process that could not begin there is none
	}
	return r
}
