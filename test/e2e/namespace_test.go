package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestNamespacePaths attaches containers by the paths that runtimes give: a mount, through a symbolic link, a descriptor of the runtime
// (buildah), and a process (ctr).
func TestNamespacePaths(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		path := nstest.Namespace(t, "c1")
		must(t, os.Symlink(path, "/run/link"))
		file, err := os.Open(path)
		must(t, err)
		defer file.Close()
		config := network(`"isGateway": true, "ipMasq": true, ` + hostLocal(subnet))
		visited(config)(t)
		ground := snapshot.Take(t, path)
		for _, netns := range []string{path, "/run/link", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()), processIn(t, path)} {
			succeed(t, "ADD", "bridge", "c1", config, "CNI_NETNS="+netns)
			if diff := snapshot.Diff(ground, snapshot.Take(t, path)); diff == "" {
				t.Errorf("%s: ADD made nothing", netns)
			}
			succeed(t, "DEL", "bridge", "c1", config, "CNI_NETNS="+netns)
			if diff := snapshot.Diff(ground, snapshot.Take(t, path)); diff != "" {
				t.Errorf("%s: DEL left\n%s", netns, diff)
			}
		}
	})
}

// processIn starts a process in the namespace that lives until the test ends, and returns the path of its namespace.
func processIn(t *testing.T, namespace string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read line")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, nstest.In(namespace, cmd.Start))
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	return fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
}
