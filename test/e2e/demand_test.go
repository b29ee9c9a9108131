package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// demand is what a call asks of the kernel that takes the longest, and is the same on every machine.
type demand struct{ sockets, requests, programs int }

// within says whether no number is above the other's.
func (c demand) within(most demand) bool {
	return c.sockets <= most.sockets && c.requests <= most.requests && c.programs <= most.programs
}

const demandConfig = `{"cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true,
	"ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/ipam"}}`

// What a call asks of the kernel is counted, since a time says little: sockets opened, datagrams sent to the kernel by netlink, and programs run beside the
// plugin itself. A number that grows needs a reason; one that shrinks goes in here.
func TestDemand(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for i := range 4 {
			nstest.Namespace(t, fmt.Sprint("ctr", i))
		}
		for _, name := range []string{"ctr0", "ctr1"} { // the host has all that containers share, and it has been looked at
			if r, err := invoke("ADD", "bridge", name, demandConfig); err != nil || r.Status != 0 {
				t.Fatalf("%v %+v", err, r)
			}
		}
		for _, c := range []struct {
			verb, container string
			most            demand
		}{
			{"ADD", "ctr2", demand{sockets: 3, requests: 33, programs: 1}},
			{"DEL", "ctr2", demand{sockets: 3, requests: 12, programs: 1}},
			{"DEL", "ctr2", demand{sockets: 3, requests: 7, programs: 1}}, // a runtime's second
		} {
			if got := counted(t, c.verb, c.container); !got.within(c.most) {
				t.Errorf("%s: %+v, want %+v at the most", c.verb, got, c.most)
			}
		}
	})
}

var demands = regexp.MustCompile(`(?m)^\d+ +(socket|execve|write|sendto|sendmsg)\((?:\d+<([A-Z]+))?`)

// counted calls the plugin and counts.
func counted(t *testing.T, verb, container string) (c demand) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-yy", "-qq", "-o", trace, "-e", "trace=socket,execve,write,sendto,sendmsg", os.Getenv(pluginsVar)+"/bridge")
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + container, "CNI_NETNS=" + netnsDir + container, "CNI_IFNAME=eth0", "CNI_PATH=" + os.Getenv(pluginsVar),
	}
	cmd.Stdin = strings.NewReader(demandConfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	c.programs = -1 // the plugin itself
	for _, call := range demands.FindAllStringSubmatch(string(text), -1) {
		switch {
		case call[1] == "socket":
			c.sockets++
		case call[1] == "execve":
			c.programs++
		case call[2] == "NETLINK":
			c.requests++
		}
	}
	return c
}
