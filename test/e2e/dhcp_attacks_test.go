package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestDELWhileADDWaits: a DEL does not wait for a server that the ADD of the same container waits for, but ends that.
func TestDELWhileADDWaits(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, "--dhcp-range=10.9.0.10,10.9.0.10,255.255.255.0,2m")
		s.start()
		nstest.Namespace(t, "c1")
		nstest.Namespace(t, "c2")
		succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		said := make(chan string)
		go func() {
			got, err := invoke("ADD", "bridge", "c2", dhcpConfig(""))
			said <- fmt.Sprintf("%d %s %v", got.Code, got.Msg, err)
		}()
		s.server.await("no address available")
		began := time.Now()
		succeed(t, "DEL", "dhcp", "c2", dhcpConfig(""))
		if took := time.Since(began); took > slack.Of(3*time.Second) {
			t.Errorf("DEL took %v", took)
		}
		if got := <-said; !strings.HasPrefix(got, "11 ") || !strings.Contains(got, "a DEL came") {
			t.Errorf("ADD: %s", got)
		}
		s.nothingOf("c2")
		succeed(t, "DEL", "bridge", "c2", dhcpConfig(""))
	})
}

// nothingOf holds that the container has no lease and no interface.
func (s *served) nothingOf(container string) {
	s.Helper()
	for _, r := range records(s.T) {
		if r.ContainerID == container {
			s.Errorf("a lease is left: %+v", r)
		}
	}
	shell(s.T, "! ip -n "+container+" link show eth0 2>/dev/null")
}

// TestContainersGone: a daemon that comes after another forgets the leases of containers that have gone meanwhile, at once, and renews the others.
func TestContainersGone(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool, "--dhcp-option-force=option:T1,3", "--dhcp-option-force=option:T2,60")
		s.start()
		for n := range 8 {
			name := "c" + strconv.Itoa(n)
			nstest.Namespace(t, name)
			succeed(t, "ADD", "bridge", name, dhcpConfig(""))
		}
		s.daemon.kill()
		for _, gone := range []string{"c1", "c4", "c6"} {
			shell(t, "ip netns del "+gone)
		}
		nstest.Namespace(t, "c4") // another, of the same name
		s.start()
		if left := records(t); len(left) != 5 {
			t.Errorf("%d leases: %v", len(left), left)
		}
		s.granted(5, 1)
	})
}

// TestPlantedLeases has in the place of leases what is none, and such as cannot be renewed: the daemon tells of it, goes on with all others, and is not kept
// busy; and the DEL of each removes it.
func TestPlantedLeases(t *testing.T) {
	t.Parallel()
	const dir = "/run/cni/dhcp.leases"
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, append(often, pool)...)
		s.start()
		nstest.Namespace(t, "c1")
		got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		s.daemon.kill()
		r := records(t)[0]
		file := func(id string) string { return folder.File(dir, id, "net", "eth0") }
		shell(t, "cp "+file("c1")+" "+dir+"/copy.json")
		plants := map[string]func(path string, r lease.Record) error{
			"torn":   func(path string, _ lease.Record) error { return os.WriteFile(path, []byte(`{"Net`), 0o600) },
			"pipe":   func(path string, _ lease.Record) error { return unix.Mkfifo(path, 0o600) },
			"link":   func(path string, _ lease.Record) error { return os.Symlink(path, path) },
			"folder": func(path string, _ lease.Record) error { return os.Mkdir(path, 0o700) },
			"half":   func(path string, _ lease.Record) error { return os.WriteFile(path+".half", []byte(`{`), 0o600) },
			"version": func(path string, _ lease.Record) error {
				return os.WriteFile(path, []byte(`{"Version": 2, "Leases": []}`), 0o600)
			},
			"boot":      func(_ string, r lease.Record) error { r.Began += 24 * time.Hour; return r.Write(dir) },
			"gone":      func(_ string, r lease.Record) error { r.Netns = "/run/netns/gone"; return r.Write(dir) },
			"elsewhere": func(_ string, r lease.Record) error { r.Link = 9; return r.Write(dir) },
			"loop": func(_ string, r lease.Record) error {
				r.Netns, r.Began = "/run/loop", r.Began-24*time.Hour
				return errors.Join(os.Symlink("/run/loop", "/run/loop"), r.Write(dir))
			},
		}
		for id, plant := range plants {
			r := r
			r.ContainerID = id
			must(t, plant(file(id), r))
		}
		s.start()
		s.server.await("DHCPACK(lan0) " + r.Addr.Addr().String())
		s.server.await("DHCPACK(lan0) " + r.Addr.Addr().String())
		succeed(t, "CHECK", "bridge", "c1", previous(dhcpConfig(""), got.Out))
		if took := processorTime(t, s.daemon.cmd.Process.Pid); took > time.Second {
			t.Errorf("the daemon has used %v of a processor", took)
		}
		for id := range plants {
			succeed(t, "DEL", "dhcp", id, dhcpConfig(""))
		}
		succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
		must(t, os.Remove(filepath.Join(dir, "copy.json")))
		if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// processorTime is what a process has used of a processor, which the kernel counts in hundredths of a second (proc_pid_stat(5)).
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
	user, wrong := strconv.Atoi(fields[12])
	must(t, wrong)
	system, wrong := strconv.Atoi(fields[13])
	must(t, wrong)
	return time.Duration(user+system) * 10 * time.Millisecond
}
