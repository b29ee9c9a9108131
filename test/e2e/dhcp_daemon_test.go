package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestDaemonInterchange has the plugin of each suite work with the daemon of the other.
func TestDaemonInterchange(t *testing.T) {
	for _, build := range []reference.Build{reference.Debian, reference.Newest} {
		t.Run(filepath.Base(build.Dir)+"/our daemon", func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, pool, "--dhcp-option=option:classless-static-route,10.77.0.0/16,10.9.0.3,0.0.0.0/0,10.9.0.1")
				s.start()
				theirs := suite{dir: build.Dir}
				nstest.Namespace(t, "c1")
				got := theirs.call(t, "ADD", "bridge", "c1", dhcpConfig(""))
				if !strings.Contains(string(got), "10.77.0.0/16") {
					t.Errorf("%s", got)
				}
				if list := records(t); len(list) != 1 || list[0].ContainerID != "c1" || list[0].Network != "net" {
					t.Errorf("%v", list)
				}
				theirs.call(t, "CHECK", "dhcp", "c1", dhcpConfig(""))
				theirs.call(t, "DEL", "dhcp", "c1", dhcpConfig("")) // their bridge takes the interface away before, and then nothing can be given back by it
				s.server.await("DHCPRELEASE")
				theirs.call(t, "DEL", "bridge", "c1", dhcpConfig(""))
				if list := records(t); len(list) != 0 {
					t.Errorf("%v", list)
				}
			})
		})
		t.Run(filepath.Base(build.Dir)+"/their daemon", func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, pool)
				s.hand(build.Dir, "-timeout 2s")
				nstest.Namespace(t, "c1")
				got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
				address := addressOf(t, got.Out)
				config := strings.TrimSuffix(dhcpConfig(""), "}") + `, "prevResult": ` + string(got.Out) + "}"
				succeed(t, "CHECK", "bridge", "c1", config)
				succeed(t, "DEL", "bridge", "c1", config)
				if build == reference.Newest {
					s.server.await("DHCPRELEASE(lan0) " + strings.TrimSuffix(address, "/24"))
				}
			})
		})
	}
}

// TestSocketActivation: a daemon that was handed its socket answers who called before it was there, stays while there are leases, and goes when there are none; in each form.
func TestSocketActivation(t *testing.T) {
	for _, form := range []string{pluginsVar, bundleVar} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, pool)
				ended := s.hand(os.Getenv(form), "-idle 1ms")
				nstest.Namespace(t, "c1")
				got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
				succeed(t, "CHECK", "bridge", "c1", previous(dhcpConfig(""), got.Out))
				succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
				s.server.await("DHCPRELEASE")
				select {
				case <-ended:
				case <-time.After(slack.Of(20 * time.Second)):
					t.Error("the daemon stays without a lease")
				}
				if _, err := os.Stat("/run/cni/dhcp.sock"); err != nil {
					t.Errorf("the socket, which is another's: %v", err)
				}
			})
		})
	}
}

// TestDaemonKilled kills the daemon at its system calls. Whatever it was at: a DEL succeeds and leaves nothing, and the daemon that comes after gives a lease to the same container.
func TestDaemonKilled(t *testing.T) {
	for _, name := range []string{"sendto", "openat", "write", "renameat", "unlinkat"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, pool)
				nstest.Namespace(t, "c1")
				for n, lived := 1, false; !lived && (n <= 6 || os.Getenv("TRESTLE_LONG") != ""); n++ {
					lived = s.mortal(name, n)
				}
			})
		})
	}
}

// mortal has a daemon die at call number n of that name, and says whether it lived.
func (s *served) mortal(name string, n int) (lived bool) {
	s.Helper()
	s.start("-resendtimeout", "3s")
	s.dies(name, n)
	_, err := invoke("ADD", "bridge", "c1", dhcpConfig(""))
	must(s.T, err)
	succeed(s.T, "DEL", "bridge", "c1", dhcpConfig(""))
	s.nothing(fmt.Sprintf("DEL after a kill at %s %d", name, n))
	lived = !closed(s.daemon.ended)
	s.daemon.kill()
	s.start()
	succeed(s.T, "ADD", "bridge", "c1", dhcpConfig(""))
	succeed(s.T, "DEL", "bridge", "c1", dhcpConfig(""))
	s.daemon.kill()
	s.nothing("DEL with the next daemon")
	return lived
}

// dies has the daemon die at call number n of that name from now on, as a thread counts its own.
func (s *served) dies(name string, n int) {
	s.Helper()
	speak(s.T, "attached", "/usr/bin/strace", "-f", "-o", "/dev/null", "-e", "trace="+name, "-e", "inject="+name+":signal=KILL:when="+strconv.Itoa(n),
		"-p", strconv.Itoa(s.daemon.cmd.Process.Pid))
}

// TestDaemonKilledAtRenewal kills the daemon as it renews a lease and writes that down. The next one renews it, whether it finds what was written before or after, and CHECK is content.
func TestDaemonKilledAtRenewal(t *testing.T) {
	for _, name := range []string{"sendto", "openat", "write", "renameat"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, append(often, pool)...)
				s.start()
				nstest.Namespace(t, "c1")
				got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
				for n := range 2 {
					s.dies(name, n+1)
					select {
					case <-s.daemon.ended:
					case <-time.After(slack.Of(30 * time.Second)):
						t.Fatalf("the daemon lives on after %s %d", name, n+1)
					}
					s.start()
					s.server.await("DHCPACK(lan0) " + strings.TrimSuffix(addressOf(t, got.Out), "/24"))
					succeed(t, "CHECK", "bridge", "c1", previous(dhcpConfig(""), got.Out))
				}
				succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
				s.server.await("DHCPRELEASE")
				s.nothing("DEL")
			})
		})
	}
}

// nothing holds that neither a record nor a part of one is there, nor the interface.
func (s *served) nothing(after string) {
	s.Helper()
	if left, _ := filepath.Glob("/run/cni/dhcp.leases/*"); len(left) > 0 {
		s.Errorf("%s: left: %v", after, left)
	}
	if out, err := exec.Command("ip", "-n", "c1", "link", "show", "eth0").Output(); err == nil {
		s.Errorf("%s: left: %s", after, out)
	}
}
