package hosts

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// page is what docs/cluster.md has under "Three machines": the agent's file, the network's, and what is called then.
func page(t *testing.T) (agent map[string]any, list string, calls []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/cluster.md")
	must(t, err)
	_, text2, _ := strings.Cut(string(text), "\n## Three machines\n")
	section, _, _ := strings.Cut(text2, "\n## ")
	blocks := regexp.MustCompile("(?s)```(json|text)\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks, not 3", len(blocks))
	}
	must(t, json.Unmarshal([]byte(blocks[0][2]), &agent))
	for line := range strings.Lines(blocks[2][2]) {
		call, _, _ := strings.Cut(line, "   ")
		calls = append(calls, call)
	}
	return agent, blocks[1][2], calls
}

// What the page says for three machines with nerdctl or podman, done on three hosts: its files as they are, but the addresses, and etcd without certificates
// (which TestCertificates has); its calls in their order, libcni in the place of the runtime, which publishes a port, too. Then each command of its table.
func TestThreeMachines(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		conf, list, calls := page(t)
		for _, key := range []string{"via", "endpoints", "caFile", "certFile", "keyFile"} {
			delete(conf, key)
		}
		w := newWorld(t, conf)
		w.serve("outside")
		for i, name := range []string{"h1", "h2", "h3"} {
			h := w.host(name, "sw0", "", []string{fmt.Sprintf("192.0.2.%d/24", i+1)}, name+"-a", name+"-b")
			h.conflist(list)
		}
		if len(calls) != 3 || !strings.HasPrefix(calls[1], "systemctl enable --now trestle-node") || !strings.HasPrefix(calls[2], "nerdctl run --network pods") {
			t.Fatalf("the page has other calls: %q", calls)
		}
		w.hosts[0].node(strings.Fields(calls[0])[1:]...)
		var pods []pod
		for _, h := range w.hosts {
			h.start()
			w.until(h.name+" has a block", h.says("claimed block"))
			pods = append(pods, h.publish(h.name+"-a"))
		}
		w.until("all reach all, and the outside sees hosts", func() error { return meshOf4(pods) })
		for _, p := range pods {
			must(t, reaches("outside", p.host.via[0], netip.MustParseAddr("192.0.2.100"))) // by the port that is published
		}
		commands(t, w, pods[0])
	})
}

// publish attaches a container whose port 80 is the host's, too.
func (h *host) publish(name string) pod {
	h.w.t.Helper()
	h.ports = `CAP_ARGS={"portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "tcp"}]}`
	defer func() { h.ports = "" }()
	return h.add(name)
}

func meshOf4(pods []pod) error {
	for _, from := range pods {
		for _, to := range pods {
			if err := reaches(from.name, to.addrs[0], from.addrs[0]); err != nil {
				return err
			}
		}
		if err := reaches(from.name, netip.MustParseAddr("192.0.2.100"), from.host.via...); err != nil {
			return err
		}
	}
	return nil
}

// commands calls what the table has; where the agent does it itself it says so.
func commands(t *testing.T, w *world, has pod) {
	t.Helper()
	one := has.host
	if got := one.node("list"); !strings.Contains(got, "h1") || !strings.Contains(got, "h3") {
		t.Errorf("list:\n%s", got)
	}
	refused := func(text string, args ...string) {
		t.Helper()
		out, err := one.command(append([]string{program("trestle-node"), "--config", one.file()}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), text) {
			t.Errorf("%v: %v, %s; want %q", args, err, out, text)
		}
	}
	refused("the agent does this itself while it runs", "claim")
	refused("was heard of within half a minute", "forget", "h2")
	one.stop()
	for _, args := range [][]string{{"claim"}, {"claim", "--more"}, {"reconcile"}} {
		if got := one.node(args...); !strings.Contains(got, " open") {
			t.Errorf("%v:\n%s", args, got)
		}
	}
	refused("freeze the pool", "reconcile", "--restored")
	refused("containers have addresses of it", "release", "--all")
	one.do(program("cnitool"), "del", "pods", "/run/netns/"+has.name)
	one.node("release", "--all")
	if got := one.node("list", "--json"); strings.Contains(got, `"node": "h1",`+"\n") && strings.Contains(got, `"here"`) {
		t.Errorf("after release --all:\n%s", got)
	}
}
