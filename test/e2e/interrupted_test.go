package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestInterrupted ends an ADD that waits for its IPAM plugin, as a runtime does whose patience is over. The links were made before that
// plugin was asked, so there is something to take back.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		must(t, unix.Mkfifo("/run/asked", 0o600))
		must(t, unix.Mkfifo("/run/never", 0o600))
		delegate("slow", `[ $CNI_COMMAND = ADD ] || exit 0; echo now >/run/asked; read answer </run/never`)(t)
		before := snapshot.Take(t, netnsDir+"c1")

		var out bytes.Buffer
		cmd := exec.Command(os.Getenv(pluginsVar) + "/bridge")
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + "c1", "CNI_IFNAME=eth0", "CNI_PATH=/run/plugins",
		}
		cmd.Stdin, cmd.Stdout = strings.NewReader(network(`"ipam": {"type": "slow"}`)), &out
		must(t, cmd.Start())
		if _, err := os.ReadFile("/run/asked"); err != nil { // comes back when the delegate has written
			t.Fatal(err)
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); !strings.Contains(diff, "link eth0 veth") {
			t.Errorf("there is nothing to take back yet:\n%s", diff)
		}
		must(t, cmd.Process.Signal(unix.SIGTERM))
		if err := cmd.Wait(); err == nil {
			t.Error("an ADD that was ended reports success")
		}
		var got reply
		must(t, json.Unmarshal(out.Bytes(), &got))
		if got.Code != fault.Interrupted {
			t.Errorf("code %d: %s, want %d", got.Code, got.Msg, fault.Interrupted)
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("left after the signal:\n%s", diff)
		}
	})
}
