package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/dbus"
	"github.com/trestle-cni/trestle/test/nstest"
)

// zoned is a network of which a real firewalld is told: what it passes on is what it was told of.
const zoned = `{"cniVersion": "1.1.0", "name": "net", "plugins": [
	{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}},
	{"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall"}]}`

// TestWatchFirewalld reloads, stops and starts a real firewalld, which forgets each time what it was told of addresses: by its own signals the watch hears of it, and has it
// told again. A new start and the reload that forgets connections are for a long run.
func TestWatchFirewalld(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		stop, err := startFirewalld()
		defer stop()
		must(t, err)
		must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644))
		s := settleBy(t, zoned, 1, "udp")
		s.serve(outsider, "udp", ":7")
		w := s.watch()
		w.says("the plugins have looked")
		changes := map[string]func(){"a reload": func() { shell(t, "firewall-cmd --reload") }}
		if size(0, 1) > 0 {
			changes["a complete reload"] = func() { shell(t, "firewall-cmd --complete-reload") }
			changes["a new start"] = func() { must(t, endFirewalld()); must(t, askFirewalld()) }
		}
		for what, do := range changes {
			do()
			w.says("asks the plugins of all attachments: firewalld was reloaded, started or stopped")
			w.until("firewalld knows c0 after "+what, func(string) bool { return sourced("10.1.0.2/32") })
			if !s.hears("c0", "udp", "192.0.2.2:7", outsider) {
				t.Errorf("after %s c0 is not passed on", what)
			}
		}
	})
}

// sourced says whether firewalld passes on what comes from the address.
func sourced(address string) bool {
	out, err := exec.Command("/usr/bin/firewall-cmd", "--zone=trusted", "--list-sources").Output()
	return err == nil && strings.Contains(string(out), address)
}

// endFirewalld ends it, by the number that its bus has of it, and returns when the bus has it no more.
func endFirewalld() error {
	conn, err := dbus.Open(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	const bus = "org.freedesktop.DBus"
	process, err := conn.Call(bus, "/org/freedesktop/DBus", bus, "GetConnectionUnixProcessID", "org.fedoraproject.FirewallD1")
	if err != nil {
		return err
	}
	number, known := process.(uint32)
	if !known || number <= 1 {
		return errors.New("firewalld: no process")
	}
	err = errors.Join(conn.Match("type='signal',member='NameOwnerChanged',arg0='org.fedoraproject.FirewallD1'"), unix.Kill(int(number), unix.SIGTERM))
	if err != nil {
		return err
	}
	return conn.Signal()
}
