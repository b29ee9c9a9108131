package e2e

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestLeaseOfAnother: the path at which a lease was given leads to another container by the time that the lease ends, and nobody renewed it. That one's interface has the same name, and
// stays up.
func TestLeaseOfAnother(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool)
		s.start()
		nstest.Namespace(t, "c1")
		other := nstest.Namespace(t, "c2")
		succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		succeed(t, "ADD", "ptp", "c2", network(`"name": "other", "type": "ptp", `+hostLocal(subnet)))
		s.daemon.kill()
		s.server.kill()
		silent, err := net.ListenPacket("udp4", ":67") // a server that hears, and says nothing
		must(t, err)
		defer silent.Close()
		expired(t)
		s.start()
		must(t, silent.SetReadDeadline(time.Now().Add(soon())))
		_, _, err = silent.ReadFrom(make([]byte, 1500))
		must(t, err)
		must(t, unix.Mount(other, netnsDir+"c1", "", unix.MS_BIND, ""))
		s.daemon.await("not the one that has the lease")
		isUp(t, "c2")
	})
}

// TestLeaseOfTheHost: a path that leads to the host's namespace by the time that the daemon follows it is no reason to ask for a lease for the host's interface, nor to bring that up.
func TestLeaseOfTheHost(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool)
		s.start("-resendtimeout", "2s")
		path := nstest.Namespace(t, "c1")
		shell(t, "ip link add eth0 type veth peer name far0; ip link set far0 master lan0 up")
		before := ownLinks(t)
		stop := flipping(t, "/run/flip", path, "/proc/self/ns/net")
		made := 0
		for range flips / 2 {
			got, err := invoke("ADD", "bridge", "c1", dhcpConfig(""), "CNI_NETNS=/run/flip")
			must(t, err)
			if got.Status == 0 {
				made++
			}
			if now := ownLinks(t); strings.Contains(now, "link eth0 veth") && linkLine(now, "eth0") != linkLine(before, "eth0") {
				t.Fatalf("the host's own interface: %s, was %s", linkLine(now, "eth0"), linkLine(before, "eth0"))
			}
			succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
		}
		stop()
		if made == 0 {
			t.Error("no path led to the container, at both ends")
		}
		succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		isUp(t, "c1")
	})
}

// linkLine is what the snapshot says of a link of the host's.
func linkLine(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "host link "+name+" ") {
			return line
		}
	}
	return ""
}

// isUp wants the container's interface to be.
func isUp(t *testing.T, container string) {
	t.Helper()
	out, err := exec.Command("ip", "-n", container, "link", "show", "eth0").Output()
	if err != nil || !strings.Contains(string(out), ",UP") {
		t.Errorf("eth0 of %s: %v: %s", container, err, out)
	}
}
