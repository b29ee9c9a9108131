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

	"github.com/trestle-cni/trestle/pkg/owner"
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
	t.Parallel()
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
			{"ADD", "ctr2", demand{sockets: 3, requests: 35, programs: 1}}, // three of them to see that nothing is left of an earlier one
			{"DEL", "ctr2", demand{sockets: 3, requests: 12, programs: 1}},
			{"DEL", "ctr2", demand{sockets: 3, requests: 7, programs: 1}}, // a runtime's second
		} {
			if got := counted(t, "bridge", c.verb, c.container, demandConfig); !got.within(c.most) {
				t.Errorf("%s: %+v, want %+v at the most", c.verb, got, c.most)
			}
		}
		for _, c := range []struct {
			plugin string
			most   demand
		}{{"tuning", demand{sockets: 1, requests: 0}}, {"firewall", demand{sockets: 2, requests: 19}}, {"portmap", demand{sockets: 2, requests: 16}}} {
			chained(t, c.plugin, "ADD", "ctr0") // what attachments share is there from now on
			if got := counted(t, c.plugin, "ADD", "ctr1", afterBridge(t, c.plugin, "ctr1")); !got.within(c.most) {
				t.Errorf("%s: ADD: %+v, want %+v at the most", c.plugin, got, c.most)
			}
		}
	})
}

// TestDemandWithoutHostLink counts the same where no link of the host's tells whether what the packet filter has is of this life of the container: that is looked at, by the
// second plugin of the list with what the first has just made.
func TestDemandWithoutHostLink(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		for name, address := range addresses {
			nstest.Namespace(t, name)
			nstest.Program(t, "", "ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "far")
			nstest.Program(t, "", "ip", "-n", name, "address", "add", address, "dev", "eth0")
		}
		config := func(plugin, container string) string {
			hostEnd := fmt.Sprintf(`{"name": %q}, `, owner.Of("net", container, "eth0").HostLink())
			return strings.NewReplacer(hostEnd, "", `"interface": 1`, `"interface": 0`).Replace(afterBridge(t, plugin, container))
		}
		most := map[string]demand{"portmap": {sockets: 3, requests: 18}, "firewall": {sockets: 3, requests: 20}}
		for _, container := range []string{"ctr0", "ctr1"} {
			for _, plugin := range []string{"portmap", "firewall"} {
				if r, err := invoke("ADD", plugin, container, config(plugin, container)); err != nil || r.Status != 0 {
					t.Fatalf("%s: %v %+v", plugin, err, r)
				}
			}
		}
		for _, plugin := range []string{"portmap", "firewall"} {
			if got := counted(t, plugin, "ADD", "ctr2", config(plugin, "ctr2")); !got.within(most[plugin]) {
				t.Errorf("%s: ADD: %+v, want %+v at the most", plugin, got, most[plugin])
			}
		}
	})
}

var addresses = map[string]string{"ctr0": "10.1.0.2/24", "ctr1": "10.1.0.3/24", "ctr2": "10.1.0.4/24"}

// afterBridge is a plugin's configuration in a list, after what the bridge has made for the container.
func afterBridge(t *testing.T, plugin, container string) string {
	t.Helper()
	port := map[string]string{"ctr0": "8080", "ctr1": "8081", "ctr2": "8082"}[container]
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": %q, "runtimeConfig": {"portMappings": [{"hostPort": %s, "containerPort": 80, "protocol": "tcp"}]},
		"prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": %q}, {"name": "eth0", "sandbox": "%s%s"}], "ips": [{"address": %q, "interface": 1}]}}`,
		plugin, port, owner.Of("net", container, "eth0").HostLink(), netnsDir, container, addresses[container])
}

func chained(t *testing.T, plugin, verb, container string) {
	t.Helper()
	if r, err := invoke(verb, plugin, container, afterBridge(t, plugin, container)); err != nil || r.Status != 0 {
		t.Fatalf("%s: %v %+v", plugin, err, r)
	}
}

// An ADD whose ranges are in a file asks for that file, and for nothing else that it would not ask without: so it costs what four calls of the kernel cost.
func TestDemandOfRanges(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		without := files(t, `"subnet": "10.1.0.0/24"`)
		with := files(t, `"rangesFrom": "DIR/ranges"`)
		ofFile := func(call string) bool { return strings.Contains(call, "DIR/ranges") }
		about := len(with)
		with = slices.DeleteFunc(with, ofFile)
		if about -= len(with); about == 0 || about > 4 {
			t.Errorf("of the file is asked %d times", about)
		}
		if diff := cmp.Diff(without, with); diff != "" {
			t.Errorf("beside the file (-without +with it):\n%s", diff)
		}
	})
}

// files are the names of the calls by which host-local's ADD reads and writes files and directories, but its own binary and the kernel's.
func files(t *testing.T, ranges string) (calls []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/ranges", []byte(`{"ranges": [[{"subnet": "10.1.0.0/24"}]]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("strace", "-f", "-y", "-qq", "-a", "1", "-o", dir+"/trace", "-e", "trace=%file,read,write,close,flock,fsync,fdatasync,getdents64", os.Getenv(pluginsVar)+"/host-local")
	cmd.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=c", "CNI_NETNS=/none", "CNI_IFNAME=eth0", "CNI_PATH=/none"}
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(`{"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": {"type": "host-local", "dataDir": "DIR/books", `+ranges+`}}`, "DIR", dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(dir + "/trace")
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range inOnePiece(string(text)) {
		if strings.Contains(call, dir) && !strings.Contains(call, "execve") {
			calls = append(calls, changing.ReplaceAllString(strings.ReplaceAll(call, dir, "DIR"), "N"))
		}
	}
	return calls
}

// inOnePiece are the calls of a trace, as they began; one in which another thread was heard is put together again.
func inOnePiece(trace string) (calls []string) {
	begun := make(map[string]int) // by thread: which of the calls has not ended
	for line := range strings.Lines(trace) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if _, rest, resumed := strings.Cut(call, " resumed>"); resumed && strings.HasPrefix(call, "<... ") {
			calls[begun[thread]] += rest
			continue
		}
		call, unfinished := strings.CutSuffix(call, " <unfinished ...>")
		if unfinished {
			begun[thread] = len(calls)
		}
		calls = append(calls, call)
	}
	return calls
}

// changing is what is another number each time, and a time as strace writes it out.
var changing = regexp.MustCompile(`/\*.*?\*/|0x[0-9a-f]+|[0-9]{3,}`)

var demands = regexp.MustCompile(`(?m)^\d+ +(socket|execve|write|sendto|sendmsg)\((?:\d+<([A-Z]+))?`)

// counted calls the plugin and counts.
func counted(t *testing.T, plugin, verb, container, config string) (c demand) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-yy", "-qq", "-o", trace, "-e", "trace=socket,execve,write,sendto,sendmsg", os.Getenv(pluginsVar)+"/"+plugin)
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + container, "CNI_NETNS=" + netnsDir + container, "CNI_IFNAME=eth0", "CNI_PATH=" + os.Getenv(pluginsVar),
	}
	cmd.Stdin = strings.NewReader(config)
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
