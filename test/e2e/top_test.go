package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

// topCounts are what the tests look at of what `trestle top --json` prints.
type topCounts struct {
	Interfaces []topCounted
	Dropped    []struct {
		Reason  string
		Dropped struct{ Packets uint64 }
	}
	Unseen []struct{ Object, Remedy string }
}

type topCounted struct {
	ID, Network    string
	Received, Sent *struct{ Bytes, Packets uint64 }
	Connections    *struct{ Count uint64 }
	Ports          []topCounted
}

func (c topCounts) of(network string) topCounted {
	for _, one := range c.Interfaces {
		if one.Network == network {
			return one
		}
	}
	return topCounted{}
}

// TestTop sends what is counted at the sender's own link to a published port, and to a container that has no other end on the host: top says the same within
// two of a hundred, and each connection once. Who is not root sees what can be seen, and what not.
func TestTop(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		must(t, os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_acct", []byte("1"), 0o644))
		joined(t, "web", "front", `{"type": "bridge", "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}},
			{"type": "portmap", "capabilities": {"portMappings": true}}`)
		joined(t, "lan", "lan", `{"type": "macvlan", "master": "uplink", "ipam": {"type": "static", "addresses": [{"address": "192.0.2.9/24"}]}}`)
		w.T = t
		next := topOf(t)
		first := next()
		if len(first.Interfaces) != 2 || len(first.Unseen) != 0 || len(first.Dropped) != 0 {
			t.Fatalf("%+v", first)
		}
		published := uint64(0) // headers are counted: how many there are is up to how the sender's kernel cuts the stream
		for network, to := range map[string]string{"front": "192.0.2.1:8080", "lan": "192.0.2.9:80"} {
			was := first.of(network)
			out, back := transfer(t, map[string]string{"front": "web", "lan": "lan"}[network], to, 20<<20)
			now := await(t, next, func(c topCounts) bool { return c.of(network).Received.Bytes-was.Received.Bytes >= out*98/100 }).of(network)
			near(t, network+" received", now.Received.Bytes-was.Received.Bytes, out)
			near(t, network+" sent", now.Sent.Bytes-was.Sent.Bytes, back)
			if network == "front" {
				published = out
			}
		}
		must(t, in(outsider, func() error {
			_, err := peer.Flows("tcp", "192.0.2.1:8080", 9, soon())
			return err
		}))
		front := await(t, next, func(c topCounts) bool { return c.of("front").Connections.Count >= 10 }).of("front")
		if front.Connections.Count != 10 || front.Ports[0].Connections.Count != 10 {
			t.Errorf("%+v, want ten connections", front)
		}
		near(t, "the port", front.Ports[0].Received.Bytes, published)
		must(t, in("web", func() error { return advertise("eth0") }))
		routers := await(t, next, func(c topCounts) bool { return len(c.Dropped) > 0 }).Dropped[0]
		if routers.Dropped.Packets != 1 || routers.Reason != "a container says that it is a router" {
			t.Errorf("dropped: %+v", routers)
		}
		seen := topAsNobody(t)
		if front := seen.of("front"); front.Received == nil || front.Received.Bytes < 20<<20 || front.Connections != nil || len(seen.Unseen) < 3 {
			t.Errorf("without root: %+v", seen)
		}
	})
}

// await reads lines until one is as wanted.
func await(t *testing.T, next func() topCounts, wanted func(topCounts) bool) (c topCounts) {
	t.Helper()
	for end := time.Now().Add(soon()); time.Now().Before(end); {
		if c = next(); wanted(c) {
			return c
		}
	}
	text, _ := json.Marshal(c)
	t.Fatalf("not as awaited: %s", text)
	return c
}

// joined puts a container on a network of its own by cnitool, and has it listen.
func joined(t *testing.T, container, name, plugins string) {
	t.Helper()
	nstest.Namespace(t, container)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "net.conflist"), fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": %q, "plugins": [%s]}`, name, plugins), 0o644))
	cmd := exec.Command(filepath.Join(os.Getenv(toolsVar), "cnitool"), "add", name, netnsDir+container)
	cmd.Env = append(os.Environ(), "NETCONFPATH="+dir, "CNI_PATH="+os.Getenv(pluginsVar), `CAP_ARGS={"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var listener net.Listener
	must(t, in(container, func() (err error) { listener, err = net.Listen("tcp", ":80"); return err }))
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
}

// topOf starts top, and returns what reads one line of it after the other.
func topOf(t *testing.T) func() topCounts {
	t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), "top", "--json", "--interval", "100ms")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("Ctrl-C: %v", err)
		}
	})
	lines := json.NewDecoder(out)
	return func() (c topCounts) {
		t.Helper()
		must(t, lines.Decode(&c))
		return c
	}
}

// transfer sends so many bytes from outside and returns when the receiver has had them: what went out by the sender's link meanwhile, and what came back.
func transfer(t *testing.T, container, to string, size int) (out, back uint64) {
	t.Helper()
	must(t, in(outsider, func() error {
		conn, err := rtnl.Open()
		if err != nil {
			return err
		}
		defer conn.Close()
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		before, err := conn.Traffic()
		if err != nil {
			return err
		}
		if err := send(to, size); err != nil {
			return err
		}
		after, err := conn.Traffic()
		out = after[link.Index].SentBytes - before[link.Index].SentBytes
		back = after[link.Index].ReceivedBytes - before[link.Index].ReceivedBytes
		return err
	}))
	return out, back
}

// send sends so many bytes, and waits until the other end has read them and hung up.
func send(to string, size int) error {
	conn, err := net.DialTimeout("tcp", to, soon())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soon()))
	if _, err := conn.Write(make([]byte, size)); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// near holds that a count is within two of a hundred, and what a few small packets make.
func near(t *testing.T, what string, got, want uint64) {
	t.Helper()
	if diff := float64(got) - float64(want); diff > 0.02*float64(want)+500 || -diff > 0.02*float64(want)+500 {
		t.Errorf("%s: %d bytes, want %d", what, got, want)
	}
	t.Logf("%s: %d bytes, the sender's link says %d", what, got, want)
}

func topAsNobody(t *testing.T) (c topCounts) {
	t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), "top", "--once", "--json", "--interval", "100ms")
	cmd.SysProcAttr = nobody()
	out, err := cmd.Output()
	must(t, err)
	must(t, json.Unmarshal(out, &c))
	return c
}
