package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

const lentKilled = `{"cniVersion": "1.1.0", "name": "net", "type": "host-device", "device": "dev0", "restore": "addresses", "ipam": {"type": "host-local", "subnet": "10.8.0.0/24"}}`

// TestDeviceKilled kills the plugin that lends a device at each of its system calls by which something is asked for or written, in an ADD and in a DEL. A DEL after it brings the
// device home as it was, and gives the address back, whatever was done by then.
func TestDeviceKilled(t *testing.T) {
	for _, name := range []string{"sendto", "openat", "write", "renameat", "unlinkat"} {
		for _, verb := range []string{"ADD", "DEL"} {
			t.Run(verb+" "+name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { deviceKilled(t, verb, name) })
			})
		}
	}
}

func deviceKilled(t *testing.T, verb, call string) {
	nstest.Namespace(t, "c1")
	shell(t, `ip link add dev0 type veth peer name far0; ip link set far0 up
		ip link set dev0 mtu 1400 txqueuelen 77 alias mine up; ip addr add 10.9.0.1/24 dev dev0`)
	succeed(t, "ADD", "host-device", "c1", lentKilled) // which leaves folders
	succeed(t, "DEL", "host-device", "c1", lentKilled)
	before := snapshot.Take(t, netnsDir+"c1")
	n := 0
	for lived := false; !lived; {
		n++
		if verb == "DEL" {
			succeed(t, "ADD", "host-device", "c1", lentKilled)
		}
		lived = killedAt(t, verb, call, n)
		succeed(t, "DEL", "host-device", "c1", lentKilled)
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("after a kill at %s %d:\n%s", call, n, diff)
		}
	}
	if t.Logf("killed %d times", n-1); n < 10 && call == "openat" {
		t.Errorf("killed %d times, expected more: every program opens what it is made of", n-1)
	}
}

// killedAt has the plugin die at call number n of that name, and says whether it lived.
func killedAt(t *testing.T, verb, call string, n int) (lived bool) {
	t.Helper()
	cmd := exec.Command("/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+call+":signal=KILL:when="+strconv.Itoa(n),
		filepath.Join(os.Getenv(pluginsVar), "host-device"))
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_PATH=" + os.Getenv(pluginsVar), "CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + "c1", "CNI_IFNAME=eth0"}
	cmd.Stdin = strings.NewReader(lentKilled)
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err == nil
}
