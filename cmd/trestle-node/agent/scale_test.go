package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube/apitest"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	"github.com/trestle-cni/trestle/test/slack"
)

// The agent with ten thousand Nodes as a real cluster has them, of 8 kB each: 100 MB are its goal, whether they come as a stream or, from an older API server, in one
// list or in pages. How much it has at the most is what the kernel says of the program itself, built as it is released.
func TestMemoryOfManyNodes(t *testing.T) {
	if os.Getenv("TRESTLE_LONG") == "" {
		return // a minute, and a build: make test-long is for that
	}
	binary := filepath.Join(t.TempDir(), "trestle-node")
	if out, err := exec.Command("go", "build", "-o", binary, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		name               string
		noStream, noMemory bool
	}{{"a stream", false, false}, {"a list", true, false}, {"pages", true, true}} {
		a, h := apitest.Start(t, ""), newHost(t)
		a.NoStream, a.NoMemory = c.noStream, c.noMemory
		for i := range 10000 {
			a.Put(fmt.Sprintf("n%d", i), fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
		}
		a.Fatten()
		pid := h.program(a, binary)
		a.Put("n1", "10.200.0.0/24") // and it goes on hearing
		h.hands("10.200.0.0/24")
		status, err := procfile.Read(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		var peak, now int
		for line := range strings.Lines(string(status)) {
			_, _ = fmt.Sscanf(line, "VmHWM: %d", &peak)
			_, _ = fmt.Sscanf(line, "VmRSS: %d", &now)
		}
		t.Logf("10,000 Nodes as %s: %d MB at the most, %d MB then", c.name, peak/1024, now/1024)
		if peak/1024 > 100 || peak == 0 {
			t.Errorf("as %s: %d MB at the most, want 100", c.name, peak/1024)
		}
	}
}

// program runs the agent as a process of its own until it has the list.
func (h *hosted) program(a *apitest.API, binary string) int {
	h.t.Helper()
	dir := h.t.TempDir()
	n := h.member.Network
	conf, err := json.Marshal(map[string]any{"network": "pods", "node": "n1", "source": "kubernetes", "kubeconfig": dir + "/kubeconfig", "conflist": n.Conflist, "pluginDir": n.Plugins, "clusterCIDRs": n.Exclude,
		"rangesFile": h.places.Ranges, "dataDir": h.places.Data})
	if err != nil {
		h.t.Fatal(err)
	}
	for name, text := range map[string]string{"kubeconfig": a.Kubeconfig(), "conf": string(conf)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	h.member.Life = life.New(life.Log(h.said)) // of which hear tells
	cmd := exec.Command(binary, "run", "--config", dir+"/conf")
	cmd.Stderr, cmd.SysProcAttr = h.said, &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			h.t.Errorf("it was told to stop: %v", err)
		}
	})
	late := time.After(slack.Of(2 * time.Minute))
	for {
		select {
		case line := <-h.said:
			if strings.Contains(line, listed) {
				return cmd.Process.Pid
			}
		case <-late:
			h.t.Fatal("it was never ready")
		}
	}
}

// counting is a Reach that says when it hears of more blocks than before, in place of a kernel.
type counting struct {
	seen int
	told chan<- time.Time
}

func (c *counting) Set(_ context.Context, blocks []Neighbour) error {
	if len(blocks) > c.seen {
		c.seen = len(blocks)
		c.told <- time.Now()
	}
	return nil
}

// A Node that is new is with all members soon after the API server has it, as a block's owner is with the agents of etcd (TestManyAgentsHear).
func TestManyMembersHear(t *testing.T) {
	members, changes := 50, 10
	if os.Getenv("TRESTLE_LONG") != "" {
		members, changes = 500, 100
	}
	a := apitest.Start(t, "")
	a.Put("n1", "")
	told := make(chan time.Time, members)
	for range members {
		newHost(t).hears(t, a, told)
	}
	within(t, "members", members, changes, told, func(i int) { a.Put(fmt.Sprintf("far%d", i), fmt.Sprintf("10.1.%d.0/24", i)) })
}

// hears is what Run does when Nodes change; of its files nobody tells it: so many that are told are more than the kernel lets one user have.
func (h *hosted) hears(t *testing.T, a *apitest.API, told chan<- time.Time) {
	t.Helper()
	m := h.member
	var err error
	if m.Grant, err = ledger.OpenGrant(h.places, m.Name); err != nil {
		t.Fatal(err)
	}
	m.Cluster = h.cluster(a)
	m.Reach = func(context.Context, []netip.Addr) (Reach, MTU, error) { return &counting{told: told}, WholeMTU, nil }
	ctx, stop := context.WithCancel(context.Background())
	pulled, ended := make(chan struct{}, 1), make(chan struct{})
	go m.Cluster.Follow(ctx, func() { Pull(pulled) }, func(error) {})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-pulled:
			}
			if nodes, whole := m.Cluster.Nodes(); whole {
				m.become(ctx, ViewOf(m.Name, nodes, m.Network.Exclude), len(nodes))
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		m.Grant.Close()
	})
}
