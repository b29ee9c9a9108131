package e2e

import (
	"bytes"
	"encoding/json"
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

// wishes are what a runtime asks for; each plugin gets of it what its list declares.
const wishes = `{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}], "bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 8000000, "egressBurst": 800000},
	"mac": "c2:b0:57:49:47:f1"}`

// TestListsOfOthers runs the lists that runtimes and distributions write, and those of the reference's documentation (testdata/lists), on the reference 1.10.0 and on ours: whatever works there works
// here, with the same result but for what is drawn by lot, the same ways out and in, and nothing left.
func TestListsOfOthers(t *testing.T) {
	files, err := filepath.Glob("testdata/lists/*")
	must(t, err)
	if len(files) < 25 {
		t.Fatalf("%d lists", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				content, err := os.ReadFile(file)
				must(t, err)
				w := newLister(t, file, content)
				w.waits = silence
				theirs, ours := w.live(reference.Newest.Dir), w.live(os.Getenv(pluginsVar))
				if theirs.Out != ours.Out || theirs.In != ours.In { // on a busy machine one may have been late
					w.waits = 0
					theirs, ours = w.live(reference.Newest.Dir), w.live(os.Getenv(pluginsVar))
				}
				if diff := cmp.Diff(theirs, ours); diff != "" {
					t.Errorf("(-reference +ours)\n%s", diff)
				}
			})
		})
	}
}

// lister is a host with a list in its directory of networks.
type lister struct {
	*street
	dir, name, version string
}

func newLister(t *testing.T, file string, content []byte) *lister {
	w := &lister{street: newStreet(t), dir: t.TempDir()}
	var head struct{ Name, CNIVersion string }
	must(t, json.Unmarshal(content, &head))
	w.name, w.version = head.Name, head.CNIVersion
	must(t, os.WriteFile(filepath.Join(w.dir, "10-"+filepath.Base(file)), content, 0o644))
	for _, setting := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		must(t, os.WriteFile(setting, []byte("0"), 0o644))
	}
	w.serve(outsider, "tcp", ":80")
	return w
}

// came is what came of a list: the result, and who reached whom.
type came struct {
	Result   map[string]any
	Out, In  bool
	Settings string
}

// live lets a container live on the list, by the plugins of the directory, and takes all away again.
func (w *lister) live(plugins string) (c came) {
	w.container("c1")
	out := w.call(plugins, "add")
	must(w.T, json.Unmarshal([]byte(drawn.ReplaceAllString(out, "drawn")), &c.Result))
	slices.SortFunc(c.list("routes"), func(a, b any) int { return strings.Compare(text(a), text(b)) })
	if w.name == "lo" && w.version < "0.3.0" { // the reference prints what is no result of that version
		delete(c.Result, "ip4")
		delete(c.Result, "ip6")
	}
	if w.version >= "0.4.0" && (plugins != reference.Newest.Dir || !strings.Contains(out, "1ff::1/64")) { // a route that it cannot find again
		w.call(plugins, "check")
	}
	if strings.Contains(out, `"address"`) || strings.Contains(out, `"ip4"`) {
		w.serve("c1", "tcp", ":80")
		c.Out = w.hears("c1", "tcp", "192.0.2.2:80", outsider)
		c.In = w.hears(outsider, "tcp", "192.0.2.1:8080", "c1")
	}
	must(w.T, nstest.In(netnsDir+"c1", func() error {
		list, err := exec.Command("/usr/sbin/ip", "-brief", "address", "show").Output()
		routes, err2 := exec.Command("/usr/sbin/ip", "route").Output()
		c.Settings = drawn.ReplaceAllString(string(list)+string(routes), "drawn")
		if err2 != nil {
			return err2
		}
		return err
	}))
	for range 2 {
		w.call(plugins, "del")
	}
	for _, server := range w.servers["c1"] {
		server.Close()
	}
	w.clean()
	return c
}

// drawn is what is drawn by lot: Ethernet addresses, link-local addresses that follow from them, names of links, and paths.
var drawn = regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}|fe80::[0-9a-f:]+/64|veth[0-9a-f]+|@if[0-9]+`)

func (c came) list(key string) []any { list, _ := c.Result[key].([]any); return list }

func text(v any) string { out, _ := json.Marshal(v); return string(out) }

func (w *lister) call(plugins, verb string) string {
	w.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv(toolsVar), "cnitool"), verb, w.name, netnsDir+"c1")
	cmd.Env = []string{"CNI_PATH=" + plugins, "NETCONFPATH=" + w.dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CAP_ARGS=" + wishes}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%s by %s: %v: %s%s", verb, plugins, err, out, said.String())
	}
	return string(out)
}

// clean takes away what containers shared, so that the next begin as these did.
func (w *lister) clean() {
	w.Helper()
	nstest.Remove(w, netnsDir+"c1")
	_ = exec.Command("/usr/sbin/nft", "flush", "ruleset").Run()
	for _, line := range strings.Split(output(w.T, "/usr/sbin/ip", "-brief", "link", "show", "type", "bridge"), "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			w.run("/usr/sbin/ip", "link", "del", f[0])
		}
	}
	for _, dir := range []string{"/var/lib/cni", "/run/cni", "/run/cni-ipam-state"} {
		must(w.T, os.RemoveAll(dir))
	}
	if left := output(w.T, "/usr/sbin/ip", "-brief", "link"); strings.Contains(left, "veth") || strings.Contains(left, "bwp") {
		w.Errorf("left:\n%s", left)
	}
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	must(t, err)
	return string(out)
}
