package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestNamespacePaths attaches containers by the paths that runtimes give: a mount, through a symbolic link, a descriptor of the runtime
// (buildah), and a process (ctr).
func TestNamespacePaths(t *testing.T) {
	t.Parallel()
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

// TestHostsLoopback hands the plugin the namespace that it runs in, as a runtime does whose container's process number was used again. The
// reference takes the host's lo down (kubernetes#100648 is of this kind); later releases complain afterwards.
func TestHostsLoopback(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		const own = "/proc/self/ns/net"
		before := snapshot.Take(t)
		for _, verb := range []string{"ADD", "CHECK", "DEL"} {
			got, err := invoke(verb, "loopback", "c1", loConfig, "CNI_NETNS="+own)
			must(t, err)
			if got.Code != fault.Namespace || !strings.Contains(got.Msg, "the host's own network namespace") {
				t.Errorf("%s: code %d: %s", verb, got.Code, got.Msg)
			}
			if diff := snapshot.Diff(before, snapshot.Take(t)); diff != "" {
				t.Errorf("%s changed the host:\n%s", verb, diff)
			}
		}
		reference := exec.Command("/usr/lib/cni/loopback")
		reference.Env = []string{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c1", "CNI_NETNS=" + own, "CNI_IFNAME=lo", "CNI_PATH=/usr/lib/cni"}
		reference.Stdin = strings.NewReader(strings.Replace(loConfig, "1.1.0", "1.0.0", 1))
		out, err := reference.CombinedOutput()
		if lost := snapshot.Diff(before, snapshot.Take(t)); !strings.Contains(lost, "- host link lo") {
			t.Errorf("the reference left the host's lo alone, so this test shows nothing: %v, %s", err, out)
		}
	})
}
