package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/slack"
)

// spoken is a program that runs, and what it says: each line once, to whoever waits for it.
type spoken struct {
	*testing.T
	name  string
	cmd   *exec.Cmd
	lines chan string
	past  []string
	ended chan struct{}
}

// speak starts a program on the host, and returns when it has said that it is ready.
func speak(t *testing.T, ready string, words ...string) *spoken {
	t.Helper()
	s := &spoken{T: t, name: filepath.Base(words[0]), cmd: exec.Command(words[0], words[1:]...), lines: make(chan string, 10000), ended: make(chan struct{})}
	in, out, err := os.Pipe()
	must(t, err)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	must(t, childOf(s.cmd, s.ended))
	out.Close()
	go func() {
		for scan := bufio.NewScanner(in); scan.Scan(); {
			s.lines <- scan.Text()
		}
		close(s.lines)
	}()
	t.Cleanup(func() {
		s.kill()
		for line := range s.lines {
			s.past = append(s.past, line)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", s.name, strings.Join(s.past, "\n"))
		}
	})
	if ready != "" {
		s.await(ready)
	}
	return s
}

// await returns the next line that has the text.
func (s *spoken) await(text string) string {
	s.Helper()
	late := time.After(slack.Of(20 * time.Second))
	for {
		select {
		case line, more := <-s.lines:
			s.past = append(s.past, line)
			if strings.Contains(line, text) {
				return line
			}
			if !more {
				s.Fatalf("%s ended before it said %q:\n%s", s.name, text, strings.Join(s.past, "\n"))
			}
		case <-late:
			s.Fatalf("%s did not say %q:\n%s", s.name, text, strings.Join(s.past, "\n"))
		}
	}
}

func (s *spoken) kill() { s.end(syscall.SIGKILL) }

func (s *spoken) end(signal syscall.Signal) {
	_ = s.cmd.Process.Signal(signal) // it may have ended
	<-s.ended
}

// childOf starts a program that ends with this one. That is told to it when the thread ends which started it, so that one waits for it.
func childOf(cmd *exec.Cmd, ended chan struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	return <-started
}

// served is a host with a bridge, an address on it, and a DHCP server there.
type served struct {
	*testing.T
	server *spoken
	daemon *spoken
}

const dhcpNet = `{"cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "lan0", "ipam": {"type": "dhcp"%s}%s}`

func dhcpConfig(keys string) string { return fmt.Sprintf(dhcpNet, keys, "") }

func newServed(t *testing.T, options ...string) *served {
	t.Helper()
	for _, command := range []string{"link add lan0 type bridge", "address add 10.9.0.1/24 dev lan0", "link set lan0 up"} {
		out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", command, err, out)
		}
	}
	s := &served{T: t}
	s.serve(options...)
	return s
}

// serve starts dnsmasq, with leases of the shortest time that it gives.
func (s *served) serve(options ...string) {
	s.Helper()
	words := append([]string{"/usr/sbin/dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=lan0", "--bind-interfaces", "--log-dhcp", "--no-ping",
		"--user=", "--group=", "--dhcp-leasefile=/run/dnsmasq.leases", "--dhcp-authoritative"}, options...)
	s.server = speak(s.T, "DHCP, sockets bound", words...)
}

const pool = "--dhcp-range=10.9.0.10,10.9.0.20,255.255.255.0,2m"

// start starts our daemon.
func (s *served) start(flags ...string) {
	s.Helper()
	s.daemon = speak(s.T, "listens at", append([]string{filepath.Join(os.Getenv(pluginsVar), "dhcp"), "daemon"}, flags...)...)
}

// hand starts a daemon that is handed its socket, as by systemd: who calls it meanwhile waits.
func (s *served) hand(plugins string) {
	s.Helper()
	must(s.T, os.MkdirAll("/run/cni", 0o700))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "/run/cni/dhcp.sock", Net: "unix"})
	must(s.T, err)
	file, err := l.File()
	must(s.T, err)
	cmd := exec.Command("/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec "+plugins+"/dhcp daemon -timeout 2s")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
	ended := make(chan struct{})
	must(s.T, childOf(cmd, ended))
	must(s.T, file.Close())
	must(s.T, l.Close())
	s.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
}

// records are the leases as the daemon has written them down.
func records(t *testing.T) []lease.Record {
	t.Helper()
	list, err := lease.All("/run/cni/dhcp.leases")
	must(t, err)
	return list
}

// addressOf is the first address of a result.
func addressOf(t *testing.T, result []byte) string {
	t.Helper()
	var r struct{ IPs []struct{ Address string } }
	must(t, json.Unmarshal(result, &r))
	if len(r.IPs) != 1 {
		t.Fatalf("%s: want one address", result)
	}
	return r.IPs[0].Address
}

// often has the server ask to be asked every two seconds.
var often = []string{"--dhcp-option-force=option:T1,2", "--dhcp-option-force=option:T2,4"}

// TestLease is the life of a lease: asked for, renewed, renewed by the daemon that comes after one that was killed, and given back while the interface is there.
func TestLease(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, append(often, pool, "--dhcp-option=option:domain-name,example.net", "--dhcp-option=option:dns-server,10.9.0.53")...)
		s.start()
		nstest.Namespace(t, "c1")
		config := dhcpConfig("")
		got := succeed(t, "ADD", "bridge", "c1", config)
		address := addressOf(t, got.Out)
		for _, want := range []string{`"gateway": "10.9.0.1"`, `"10.9.0.53"`, `"example.net"`, `"dst": "0.0.0.0/0"`} {
			if !strings.Contains(string(got.Out), want) {
				t.Errorf("%s\nlacks %s", got.Out, want)
			}
		}
		s.server.await("DHCPACK")
		config = strings.TrimSuffix(config, "}") + `, "prevResult": ` + string(got.Out) + "}"
		succeed(t, "CHECK", "bridge", "c1", config)
		s.server.await("DHCPREQUEST")
		s.server.await("DHCPACK")
		s.daemon.kill()
		s.start() // in the place of the socket that was left
		s.server.await("DHCPREQUEST(lan0) " + strings.TrimSuffix(address, "/24"))
		s.server.await("DHCPACK")
		succeed(t, "CHECK", "bridge", "c1", config)
		succeed(t, "DEL", "bridge", "c1", config)
		s.server.await("DHCPRELEASE(lan0) " + strings.TrimSuffix(address, "/24"))
		if left := records(t); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		succeed(t, "DEL", "bridge", "c1", config)
		s.daemon.end(syscall.SIGTERM)
		if _, err := os.Stat("/run/cni/dhcp.sock"); !os.IsNotExist(err) {
			t.Errorf("the socket after an orderly end: %v", err)
		}
	})
}

// TestNoDaemon: a DEL gives back what the daemon wrote down, STATUS and CHECK say that there is none, and an ADD leaves nothing.
func TestNoDaemon(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool)
		s.start()
		nstest.Namespace(t, "c1")
		config := dhcpConfig("")
		succeed(t, "STATUS", "dhcp", "c1", strings.Replace(config, "1.0.0", "1.1.0", 1))
		got := succeed(t, "ADD", "bridge", "c1", config)
		s.daemon.kill()
		for verb, code := range map[string]uint{"STATUS": 50, "CHECK": 102, "ADD": 11} {
			r, err := invoke(verb, "dhcp", "c1", strings.Replace(config, "1.0.0", "1.1.0", 1))
			must(t, err)
			if r.Status == 0 || r.Code != code || !strings.Contains(r.Msg, "no daemon at /run/cni/dhcp.sock") {
				t.Errorf("%s: code %d: %s", verb, r.Code, r.Msg)
			}
		}
		succeed(t, "DEL", "bridge", "c1", config)
		s.server.await("DHCPRELEASE(lan0) " + strings.TrimSuffix(addressOf(t, got.Out), "/24"))
		succeed(t, "DEL", "bridge", "c1", config)
		if left := records(t); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestServerComesBack: leases outlive their server; one that it does not want any more, or gives otherwise, is told.
func TestServerComesBack(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, append(often, pool)...)
		s.start("-timeout", "1s")
		nstest.Namespace(t, "c1")
		got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		config := strings.TrimSuffix(dhcpConfig(""), "}") + `, "prevResult": ` + string(got.Out) + "}"
		address := strings.TrimSuffix(addressOf(t, got.Out), "/24")

		s.server.kill()
		s.serve(append(often, pool)...)
		s.server.await("DHCPACK(lan0) " + address)
		succeed(t, "CHECK", "bridge", "c1", config)

		s.server.kill()
		s.serve(append(often, pool, "--dhcp-option=option:router,10.9.0.7")...)
		s.server.await("DHCPACK(lan0) " + address)
		s.daemon.await("router was 10.9.0.1, is 10.9.0.7")
		tells(t, config, "router was 10.9.0.1, is 10.9.0.7")

		s.server.kill()
		must(t, os.Remove("/run/dnsmasq.leases"))
		s.serve("--dhcp-range=10.9.0.100,10.9.0.120,255.255.255.0,2m") // authoritative: what it has not given nobody has
		s.server.await("DHCPNAK(lan0) " + address)
		s.daemon.await("the interface goes down")
		tells(t, config, "NAK")
		succeed(t, "DEL", "bridge", "c1", config)
	})
}

func tells(t *testing.T, config, word string) {
	t.Helper()
	r, err := invoke("CHECK", "bridge", "c1", config)
	must(t, err)
	if r.Code != 102 || !strings.Contains(r.Msg, word) {
		t.Errorf("CHECK: code %d: %s; want %q", r.Code, r.Msg, word)
	}
}

// TestPoolIsFull: who gets no address is told so, and nothing is left; when one is free again, he gets it.
func TestPoolIsFull(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, "--dhcp-range=10.9.0.10,10.9.0.10,255.255.255.0,2m")
		s.start("-resendtimeout", "2s")
		nstest.Namespace(t, "c1")
		nstest.Namespace(t, "c2")
		succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		before, err := exec.Command("ip", "-o", "link").Output()
		must(t, err)
		r, err := invoke("ADD", "bridge", "c2", dhcpConfig(""))
		must(t, err)
		if r.Code != 11 || !strings.Contains(r.Msg, "no server answers") {
			t.Errorf("code %d: %s", r.Code, r.Msg)
		}
		after, err := exec.Command("ip", "-o", "link").Output()
		must(t, err)
		if len(strings.Split(string(before), "\n")) != len(strings.Split(string(after), "\n")) {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
		s.server.await("DHCPRELEASE")
		got := succeed(t, "ADD", "bridge", "c2", dhcpConfig(""))
		if got := addressOf(t, got.Out); got != "10.9.0.10/24" {
			t.Error(got)
		}
	})
}

// TestDaemonInterchange has the plugin of each suite work with the daemon of the other.
func TestDaemonInterchange(t *testing.T) {
	for _, build := range []reference.Build{reference.Debian, reference.Newest} {
		t.Run(filepath.Base(build.Dir)+"/our daemon", func(t *testing.T) {
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
				theirs.call(t, "DEL", "bridge", "c1", dhcpConfig(""))
				s.server.await("DHCPRELEASE")
				if list := records(t); len(list) != 0 {
					t.Errorf("%v", list)
				}
			})
		})
		t.Run(filepath.Base(build.Dir)+"/their daemon", func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, pool)
				s.hand(build.Dir)
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
