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

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/test/slack"
)

// spoken is a program that runs, and what it says: each line once, to whoever waits for it.
type spoken struct {
	testing.TB
	name  string
	cmd   *exec.Cmd
	lines chan string
	past  []string
	ended chan struct{}
}

// speak starts a program on the host, and returns when it has said that it is ready.
func speak(t testing.TB, ready string, words ...string) *spoken {
	t.Helper()
	s := &spoken{TB: t, name: filepath.Base(words[0]), cmd: exec.Command(words[0], words[1:]...), lines: make(chan string, 10000), ended: make(chan struct{})}
	in, out, err := os.Pipe()
	if err == nil {
		s.cmd.Stdout, s.cmd.Stderr = out, out
		err = childOf(s.cmd, s.ended)
	}
	if err != nil {
		t.Fatal(err)
	}
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
	s.server = speak(s.T, "DHCP, sockets bound", dnsmasq("lan0", options...)...)
}

func dnsmasq(link string, options ...string) []string {
	return append([]string{"/usr/sbin/dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=" + link, "--bind-interfaces", "--log-dhcp", "--no-ping",
		"--user=", "--group=", "--dhcp-leasefile=/run/dnsmasq.leases", "--dhcp-authoritative"}, options...)
}

// leases NAMESPACE LINK PREFIX: a DHCP server in the namespace gives the addresses PREFIX.10 to .99, and our daemon runs on the host.
func leasesCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "leases NAMESPACE LINK PREFIX", len(args) == 3)
	server := dnsmasq(args[1], "--dhcp-range="+args[2]+".10,"+args[2]+".99,255.255.255.0,1h")
	speak(fatal{ts: ts}, "DHCP, sockets bound", append([]string{"/bin/ip", "netns", "exec", args[0]}, server...)...)
	speak(fatal{ts: ts}, "listens at", filepath.Join(os.Getenv(pluginsVar), "dhcp"), "daemon")
}

const pool = "--dhcp-range=10.9.0.10,10.9.0.20,255.255.255.0,2m"

// start starts our daemon.
func (s *served) start(flags ...string) {
	s.Helper()
	s.daemon = speak(s.T, "listens at", append([]string{filepath.Join(os.Getenv(pluginsVar), "dhcp"), "daemon"}, flags...)...)
}

// hand starts a daemon that is handed its socket, as by systemd: who calls it meanwhile waits. What it returns ends with the daemon.
func (s *served) hand(plugins, flags string) chan struct{} {
	s.Helper()
	must(s.T, os.MkdirAll("/run/cni", 0o700))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "/run/cni/dhcp.sock", Net: "unix"})
	must(s.T, err)
	l.SetUnlinkOnClose(false)
	file, err := l.File()
	must(s.T, err)
	cmd := exec.Command("/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec "+plugins+"/dhcp daemon "+flags)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
	ended := make(chan struct{})
	must(s.T, childOf(cmd, ended))
	must(s.T, file.Close())
	must(s.T, l.Close())
	s.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	return ended
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
