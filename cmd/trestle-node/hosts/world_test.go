package hosts

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// world is hosts, a store and an outside, on a switch.
type world struct {
	t     *testing.T
	dir   string
	conf  map[string]any // of all agents, but their names and addresses
	lists bool           // agents write the network's configuration
	store *exec.Cmd
	hosts []*host
	lines chan struct{} // an agent has said something since it was asked
}

// host is a machine: namespaces of its own, which a process holds.
type host struct {
	w      *world
	name   string
	to     string // the switch that it is plugged into
	via    []netip.Addr
	pods   int        // how many a test has attached
	known  []pod      // which, where it keeps them
	lost   [][]string // what has to be said again when its link was down
	holder *exec.Cmd
	agent  *exec.Cmd
	ended  chan struct{} // the agent's output has ended
	ports  string        // what commands are told that publish some

	mutex sync.Mutex
	said  []string // by its agent
}

// ip runs commands of ip, one a line.
func (w *world) ip(lines string) {
	w.t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("ip: %v\n%s\n%s", err, out, lines)
	}
}

// newWorld is a switch, with the store at 192.0.2.254 and an outside at 192.0.2.100. A router leads to a second switch.
func newWorld(t *testing.T, conf map[string]any) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), conf: conf, lines: make(chan struct{}, 1)}
	for _, name := range []string{"outside", "router"} {
		nstest.Namespace(t, name)
	}
	w.ip(`link add sw0 type bridge
		link add sw1 type bridge
		link set sw0 up
		link set sw1 up
		address add 192.0.2.254/24 dev sw0
		address add 2001:db8::254/64 dev sw0 nodad
		route add 198.51.100.0/24 via 192.0.2.253
		route add 2001:db8:1::/64 via 2001:db8::253`)
	w.plug("outside", "eth0", "sw0", "192.0.2.100/24", "2001:db8::100/64")
	w.plug("router", "eth0", "sw0", "192.0.2.253/24", "2001:db8::253/64")
	w.plug("router", "eth1", "sw1", "198.51.100.253/24", "2001:db8:1::253/64")
	w.run("ip", "netns", "exec", "router", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	w.startStore()
	t.Cleanup(w.end)
	return w
}

func (w *world) end() {
	for _, h := range w.hosts {
		h.stop()
		h.holder.Process.Kill()
		h.holder.Wait()
	}
	w.stopStore()
	if w.t.Failed() {
		for _, h := range w.hosts {
			h.mutex.Lock()
			w.t.Logf("%s:\n%s", h.name, strings.Join(h.said, "\n"))
			h.mutex.Unlock()
		}
	}
}

// plug gives a namespace a link to a switch.
func (w *world) plug(ns, link, to string, addrs ...string) {
	w.t.Helper()
	w.ip(fmt.Sprintf("link add %s-%s type veth peer name %s netns %s\nlink set %s-%s master %s up", ns, link, link, ns, ns, link, to))
	for _, addr := range addrs {
		w.run("ip", "-n", ns, "address", "add", addr, "dev", link, "nodad")
	}
	w.run("ip", "-n", ns, "link", "set", link, "up")
	w.run("ip", "-n", ns, "link", "set", "lo", "up")
}

func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// starter is the one thread that starts what must end with the test: the kernel takes the end of the thread that forked for the end of the parent, and
// threads that were in other namespaces end.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// start starts what is killed where the test ends before it.
func start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	return <-started
}

// startStore is an etcd, and waits until it answers.
func (w *world) startStore() {
	w.t.Helper()
	w.store = exec.Command("etcd", "--data-dir", filepath.Join(w.dir, "etcd"), "--listen-client-urls", "http://192.0.2.254:2379,http://[2001:db8::254]:2379", "--advertise-client-urls", "http://192.0.2.254:2379")
	out, err := w.store.StderrPipe()
	if err == nil {
		err = start(w.store)
	}
	if err != nil {
		w.t.Fatalf("etcd: %v (on Debian: apt-get install etcd-server)", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to serve client requests") {
			go io.Copy(io.Discard, out)
			return
		}
	}
	w.t.Fatal("etcd: is never ready")
}

func (w *world) stopStore() {
	w.store.Process.Kill()
	w.store.Wait()
}

// holding is what a host's process does: files of its own below /run and /var/lib, but the names of namespaces; then it waits for its end.
const holding = `mkdir -p /var/lib/names && mount --rbind /run/netns /var/lib/names && mount -t tmpfs tmpfs /run && mkdir /run/netns &&
mount --rbind /var/lib/names /run/netns && mount -t tmpfs tmpfs /var/lib && echo held && exec cat`

// host makes a machine with containers of these names, which have no network yet.
func (w *world) host(name, to, gateway string, addrs []string, pods ...string) *host {
	w.t.Helper()
	nstest.Namespace(w.t, name)
	for _, pod := range pods {
		nstest.Namespace(w.t, pod)
	}
	w.plug(name, "eth0", to, addrs...)
	for _, via := range strings.Fields(gateway) {
		w.run("ip", "-n", name, "route", "add", "default", "via", via)
	}
	h := &host{w: w, name: name, to: to}
	for _, addr := range addrs {
		h.via = append(h.via, netip.MustParsePrefix(addr).Addr())
		h.lost = append(h.lost, []string{"ip", "address", "replace", addr, "dev", "eth0", "nodad"})
	}
	for _, via := range strings.Fields(gateway) {
		h.lost = append(h.lost, []string{"ip", "route", "replace", "default", "via", via})
	}
	h.holder = exec.Command("nsenter", "--net=/run/netns/"+name, "unshare", "--mount", "sh", "-c", holding)
	h.holder.Stderr = os.Stderr
	_, err := h.holder.StdinPipe()
	must(w.t, err)
	out, err := h.holder.StdoutPipe()
	must(w.t, err)
	must(w.t, start(h.holder))
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		w.t.Fatalf("host %s: %q, %v", name, line, err)
	}
	w.hosts = append(w.hosts, h)
	h.configure()
	return h
}

// configure writes the agent's file.
func (h *host) configure() {
	conf := map[string]any{"timeout": 5, "network": "pods", "node": h.name, "via": h.via, "endpoints": []string{"http://192.0.2.254:2379"}, "pluginDir": os.Getenv(binVar)}
	for key, value := range h.w.conf {
		conf[key] = value
	}
	must(h.w.t, os.Mkdir(h.lists(), 0o755))
	if h.w.lists {
		conf["conflist"] = filepath.Join(h.lists(), "pods.conflist")
	}
	text, err := json.Marshal(conf)
	must(h.w.t, err)
	must(h.w.t, os.WriteFile(h.file(), text, 0o600))
}

// lists is where the host's runtime has its networks.
func (h *host) lists() string { return filepath.Join(h.w.dir, h.name) }

func (h *host) file() string { return filepath.Join(h.w.dir, h.name+".json") }

// command is one that runs on the host.
func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--target", fmt.Sprint(h.holder.Process.Pid), "--net", "--mount"}, args...)...)
	cmd.Env = append(os.Environ(), "CNI_PATH="+os.Getenv(binVar), "NETCONFPATH="+h.lists(), cmp.Or(h.ports, "CAP_ARGS="))
	return cmd
}

func (h *host) do(args ...string) string {
	h.w.t.Helper()
	out, err := h.command(args...).CombinedOutput()
	if err != nil {
		h.w.t.Fatalf("%s: %v: %v\n%s", h.name, args, err, out)
	}
	return string(out)
}

func program(name string) string { return filepath.Join(os.Getenv(binVar), name) }

// node runs a verb of trestle-node.
func (h *host) node(args ...string) string {
	h.w.t.Helper()
	return h.do(append([]string{program("trestle-node"), "--config", h.file()}, args...)...)
}

// start starts the agent.
func (h *host) start() {
	h.w.t.Helper()
	h.agent, h.ended = h.command(program("trestle-node"), "--config", h.file(), "run"), make(chan struct{})
	out, err := h.agent.StderrPipe()
	must(h.w.t, err)
	must(h.w.t, start(h.agent))
	go func(ended chan struct{}) {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.mutex.Lock()
			h.said = append(h.said, lines.Text())
			h.mutex.Unlock()
			agent.Pull(h.w.lines) // whoever reads it: in a long run nobody does for thousands of lines
		}
	}(h.ended)
}

// stop kills the agent.
func (h *host) stop() {
	if h.agent == nil {
		return
	}
	h.agent.Process.Kill()
	<-h.ended
	h.agent.Wait()
	h.agent = nil
}

// heard is what the agent said since it had said n lines.
func (h *host) heard(n int) []string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return append([]string(nil), h.said[n:]...)
}

// until tries again whenever an agent says something.
func (w *world) until(what string, try func() error) {
	w.t.Helper()
	deadline := time.After(slack.Of(20 * time.Second))
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-w.lines:
		case <-deadline:
			w.t.Fatalf("%s: %v", what, err)
		}
	}
}

// conflist writes the network's configuration.
func (h *host) conflist(text string) {
	var out bytes.Buffer
	must(h.w.t, json.Compact(&out, []byte(text)))
	must(h.w.t, os.WriteFile(filepath.Join(h.lists(), "pods.conflist"), out.Bytes(), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
