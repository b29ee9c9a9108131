package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestLease is the life of a lease: asked for, renewed, renewed by the daemon that comes after one that was killed, and given back while the interface is there.
func TestLease(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// previous is a configuration with the result of an ADD.
func previous(config string, result []byte) string {
	return strings.TrimSuffix(config, "}") + `, "prevResult": ` + string(result) + "}"
}

// TestLeaseOfChangedInterface: a chained plugin may change the Ethernet address of the interface, and its lease is renewed as before.
func TestLeaseOfChangedInterface(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, append(often, pool)...)
		s.start()
		nstest.Namespace(t, "c1")
		got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		address := strings.TrimSuffix(addressOf(t, got.Out), "/24")
		s.server.await("DHCPACK")
		changed := `{"cniVersion": "1.0.0", "name": "net", "type": "tuning", "mac": "02:00:00:00:00:77", "prevResult": ` + string(got.Out) + "}"
		succeed(t, "ADD", "tuning", "c1", changed)
		for range 2 {
			s.server.await("DHCPACK(lan0) " + address)
		}
		s.daemon.kill()
		s.start()
		s.server.await("DHCPACK(lan0) " + address)
		succeed(t, "CHECK", "dhcp", "c1", previous(dhcpConfig(""), got.Out))
		succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
		s.server.await("DHCPRELEASE(lan0) " + address)
	})
}

// TestSecondServer is the life of a lease of a few seconds that another server gives: renewed, renewed by the next daemon, released; and of one whose server does not come back.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool)
		s.server.kill()
		must(t, os.WriteFile("/run/dhcpd.conf", []byte(`authoritative; ping-check false; default-lease-time 6; min-lease-time 6; max-lease-time 6;
option classless code 121 = array of unsigned integer 8;
subnet 10.9.0.0 netmask 255.255.255.0 { range 10.9.0.10 10.9.0.20; option routers 10.9.0.1; option domain-name-servers 10.9.0.53;
  option domain-name "example.net"; option classless 16, 10, 77, 10, 9, 0, 3, 0, 10, 9, 0, 1; }`), 0o644))
		must(t, os.WriteFile("/run/dhcpd.leases", nil, 0o644))
		s.server = speak(t, "Server starting service", "/usr/sbin/dhcpd", "-4", "-f", "-d", "-cf", "/run/dhcpd.conf", "-lf", "/run/dhcpd.leases", "-pf", "/run/dhcpd.pid", "lan0")
		s.start("-timeout", "1s")
		nstest.Namespace(t, "c1")
		got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		config, address := previous(dhcpConfig(""), got.Out), strings.TrimSuffix(addressOf(t, got.Out), "/24")
		for _, want := range []string{`"10.9.0.53"`, `"example.net"`, `"10.77.0.0/16"`, `"0.0.0.0/0"`} {
			if !strings.Contains(string(got.Out), want) {
				t.Errorf("%s\nlacks %s", got.Out, want)
			}
		}
		s.server.await("DHCPACK on " + address)
		s.server.await("DHCPACK on " + address)
		s.daemon.kill()
		s.start("-timeout", "1s")
		s.server.await("DHCPACK on " + address)
		succeed(t, "CHECK", "bridge", "c1", config)
		succeed(t, "DEL", "bridge", "c1", config)
		s.server.await("DHCPRELEASE of " + address)

		got = succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		s.server.kill()
		s.daemon.await("no server renewed it: the interface goes down")
		tells(t, previous(dhcpConfig(""), got.Out), "no server renewed it")
		succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
	})
}

// expired has the leases' end have passed while no daemon ran.
func expired(t *testing.T) {
	t.Helper()
	for _, r := range records(t) {
		r.Began -= 24 * time.Hour
		must(t, r.Write("/run/cni/dhcp.leases"))
	}
}

// TestDaemonComesLate: a lease that ended while no daemon was there is had again where its address is free; else its interface goes down.
func TestDaemonComesLate(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool)
		s.start()
		nstest.Namespace(t, "c1")
		got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
		config, address := previous(dhcpConfig(""), got.Out), strings.TrimSuffix(addressOf(t, got.Out), "/24")
		s.server.await("DHCPACK(lan0) " + address)
		s.daemon.kill()
		s.server.kill()
		must(t, os.Remove("/run/dnsmasq.leases")) // the server has forgotten it, too
		s.serve(pool)
		expired(t)
		s.start()
		s.server.await("DHCPACK(lan0) " + address)
		succeed(t, "CHECK", "bridge", "c1", config)
		s.daemon.kill()
		s.server.kill()
		expired(t)
		s.start()
		s.daemon.await("no server renewed it: the interface goes down")
		out, err := exec.Command("ip", "-n", "c1", "link", "show", "eth0").Output()
		if err != nil || !strings.Contains(string(out), "state DOWN") {
			t.Errorf("%v: %s", err, out)
		}
		succeed(t, "DEL", "bridge", "c1", config)
	})
}

// TestLeaseMTU: the interface has the MTU that the server names where that is wanted, and CHECK is content with it; else it does not.
func TestLeaseMTU(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, pool, "--dhcp-option-force=option:mtu,1300")
		s.start()
		nstest.Namespace(t, "c1")
		for keys, want := range map[string]string{`, "mtu": true`: "mtu 1300", "": "mtu 1500"} {
			config := dhcpConfig(keys)
			got := succeed(t, "ADD", "bridge", "c1", config)
			out, err := exec.Command("ip", "-n", "c1", "link", "show", "eth0").Output()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v: %s", keys, err, out)
			}
			succeed(t, "CHECK", "bridge", "c1", previous(config, got.Out))
			succeed(t, "DEL", "bridge", "c1", config)
		}
	})
}
