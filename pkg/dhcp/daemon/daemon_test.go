package daemon

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// TestWhoseLease: an interface has its lease while it is the same one, and the kernel gives numbers of namespaces and links again.
func TestWhoseLease(t *testing.T) {
	mac, other := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	r := lease.Record{Inode: 7, Link: 2, MAC: mac, Terms: lease.Terms{Addr: netip.MustParsePrefix("10.9.0.10/24")}}
	has := []rtnl.Addr{{Prefix: netip.MustParsePrefix("fe80::1/64")}, {Prefix: netip.MustParsePrefix("10.9.0.10/24")}}
	for name, c := range map[string]struct {
		place Place
		want  bool
	}{
		"as it was":                     {Place{Inode: 7, Link: 2, MAC: mac, Addrs: has}, true},
		"before it has its address":     {Place{Inode: 7, Link: 2, MAC: mac}, true},
		"with another Ethernet address": {Place{Inode: 7, Link: 2, MAC: other, Addrs: has}, true},
		"another with its numbers":      {Place{Inode: 7, Link: 2, MAC: other, Addrs: has[:1]}, false},
		"another in its namespace":      {Place{Inode: 7, Link: 3, MAC: mac, Addrs: has}, false},
		"in another namespace":          {Place{Inode: 8, Link: 2, MAC: mac, Addrs: has}, false},
	} {
		if got := c.place.is(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestUnits: the units in conf/systemd start the daemon with flags that it has, at the socket where plugins look.
func TestUnits(t *testing.T) {
	service, socket := unit(t, "cni-dhcp.service"), unit(t, "cni-dhcp.socket")
	words := strings.Fields(service["ExecStart"])
	if len(words) < 2 || words[0] != "/opt/cni/bin/dhcp" || words[1] != "daemon" {
		t.Fatalf("ExecStart: %v", words)
	}
	o, _, err := flags(words[2:], io.Discard)
	if err != nil || o.Socket != folder.Socket || o.Idle == 0 {
		t.Errorf("%+v: %v", o, err)
	}
	if socket["ListenStream"] != folder.Socket || socket["SocketMode"] != "0600" || service["Requires"] != "cni-dhcp.socket" {
		t.Errorf("%v %v", socket, service)
	}
}

func unit(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := os.Open("../../../conf/systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	keys := make(map[string]string)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		keys[key] = value
	}
	return keys
}

// TestFlags are those of the reference's daemon.
func TestFlags(t *testing.T) {
	o, pidFile, err := flags([]string{"-pidfile", "/run/p", "-hostprefix", "/host", "-socketpath", "/run/s.sock", "-broadcast", "-timeout", "3s", "-resendmax", "2s", "-resendtimeout", "9s"}, io.Discard)
	if err != nil || pidFile != "/run/p" || o.Socket != "/host/run/s.sock" || o.HostPrefix != "/host" || !o.Broadcast || o.Patience.Seconds() != 2 || o.ResendTimeout.Seconds() != 9 {
		t.Errorf("%+v %s %v", o, pidFile, err)
	}
	if _, _, err := flags([]string{"-resendmaximum", "2s"}, io.Discard); err == nil {
		t.Error("a flag that is none is taken")
	}
}
