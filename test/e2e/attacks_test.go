package e2e

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
)

// attack is what an advisory is about. It must fail, and succeed where the protection was taken away: else the test tests nothing.
type attack struct {
	succeeds  func(*street) bool
	unprotect map[string]func(*street) // by backend
}

// either takes a protection away that is the same under both backends.
func either(f func(*street)) map[string]func(*street) {
	return map[string]func(*street){"nftables": f, "iptables": f}
}

// attacks are the advisories that concern rules and settings. CVE-2021-20206, a plugin's type with a path in it, is among the refusals.
var attacks = map[string]attack{
	// A published port takes what only passes the host on its way to somebody else's port of that number.
	"CVE-2025-67499 IPv4": {foreignPort("192.0.2.2:8080"), everyDestination},
	"CVE-2025-67499 IPv6": {foreignPort("[2001:db8::2]:8080"), everyDestination},
	// A neighbour reaches what the host serves on 127.0.0.1 alone, since route_localnet is set for published ports,
	"CVE-2020-8558 service": {loopback("udp", "127.0.0.1:9999", "host"), unguarded},
	// or what a container has published there,
	"CVE-2020-8558 published": {loopback("tcp", "127.0.0.1:8081", "one"), unguarded},
	// or on ::1, where frames between containers pass the packet filter.
	"CVE-2020-8558 published IPv6": {intrudes, unguarded},
	// A published port overtakes a service of the same port, and the policy that goes with that.
	"CVE-2019-9946": {service, overtaking},
	// A container tells the host, or its neighbour, by a router advertisement that it is their router.
	"CVE-2020-10749 host":      {advertises("host", "cni0"), either(unguardedAnd(accepting("host", "cni0")))},
	"CVE-2020-10749 container": {advertises("one", "eth0"), either(unguardedAnd(accepting("one", "eth0")))},
}

// unguardedAnd takes the guard of ports away besides: each protects alone.
func unguardedAnd(f func(*street)) func(*street) {
	return func(w *street) {
		w.nft("flush chain bridge trestle advertised")
		f(w)
	}
}

func TestAttacks(t *testing.T) {
	for name, a := range attacks {
		for backend, unprotect := range a.unprotect {
			t.Run(strings.ReplaceAll(name, " ", "-")+"/"+backend, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					w := attacked(t, backend)
					w.waits = w.tenAnswers("two", "one")
					if a.succeeds(w) {
						t.Error("the attack succeeds")
					}
					w.waits = 0
					unprotect(w)
					if !a.succeeds(w) {
						t.Error("without its protection the attack fails as well: the test tests nothing")
					}
				})
			})
		}
	}
}

// attacked is a street with a container that has published ports, and a neighbour that means no good.
func attacked(t *testing.T, backend string) *street {
	w := newStreet(t)
	for _, name := range []string{"one", "two"} {
		w.container(name)
		w.attach(name, network(fmt.Sprintf(`"isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": %q, "hairpinMode": true, `, backend)+
			hostLocal(subnet+`], [{"subnet": "fd00:1::/64"}`)))
		w.serve(name, "tcp", ":80")
	}
	w.serve(outsider, "tcp", ":8080")
	w.serve("host", "udp", "127.0.0.1:9999")
	w.serves(backend)
	calls(t, "0") // else nothing is published on ::1
	succeed(t, "ADD", "portmap", "one", w.ports("one", fmt.Sprintf(`"backend": %q`, backend), mapping("tcp", 8080, 80, ""),
		mapping("tcp", 8081, 80, `, "hostIP": "127.0.0.1"`), mapping("udp", 8081, 53, `, "hostIP": "::1"`)))
	calls(t, "1")
	return w
}

// calls says whether frames between containers pass the packet filter of IPv6.
func calls(t *testing.T, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-ip6tables", []byte(value), 0o644))
}

func (w *street) serve(container, network, at string) {
	w.Helper()
	w.serveAs(container, container, network, at)
}

// serveAs answers in the container by another name.
func (w *street) serveAs(name, container, network, at string) {
	w.Helper()
	must(w.T, in(container, func() error {
		server, err := peer.Serve(name, network, at)
		if err == nil {
			w.servers[container] = append(w.servers[container], server)
		}
		return err
	}))
}

// tenAnswers is how long ten questions take, one after the other, that are answered: who has got no answer by then will get none.
func (w *street) tenAnswers(from, server string) time.Duration {
	w.Helper()
	began := time.Now()
	for range 10 {
		if !w.hears(from, "tcp", w.address(server, true).String()+":80", server) {
			w.Fatalf("%s does not answer %s", server, from)
		}
	}
	return max(impatience, time.Since(began))
}

// hears says whether it is that server who answers.
func (w *street) hears(from, network, to, server string) bool {
	answer := ""
	_ = in(from, func() (err error) { // no answer is an answer
		answer, err = peer.Ask(network, to, cmp.Or(w.waits, slack.Of(time.Second)))
		return err
	})
	return strings.HasPrefix(answer, server+" ")
}

func (w *street) nft(script string) {
	w.Helper()
	if out, err := exec.Command("nft", script).CombinedOutput(); err != nil {
		w.Fatalf("nft %s: %v\n%s", script, err, out)
	}
}

func (w *street) run(program string, args ...string) {
	w.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		w.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// Rules without a protection, under each backend.
var (
	unguarded = map[string]func(*street){
		"nftables": func(w *street) { w.nft("flush chain inet trestle guard") },
		"iptables": func(w *street) {
			w.run("iptables", "-t", "raw", "-F", "TRESTLE-GUARD")
			w.run("ip6tables", "-t", "raw", "-F", "TRESTLE-GUARD")
		},
	}
	everyDestination = map[string]func(*street){
		"nftables": func(w *street) {
			w.nft("flush chain inet trestle prerouting; add rule inet trestle prerouting jump hostports")
		},
		"iptables": func(w *street) {
			w.run("iptables", "-t", "nat", "-A", "PREROUTING", "-j", "CNI-HOSTPORT-DNAT")
			w.run("ip6tables", "-t", "nat", "-A", "PREROUTING", "-j", "CNI-HOSTPORT-DNAT")
		},
	}
	overtaking = map[string]func(*street){
		"nftables": func(w *street) {
			w.nft("delete chain inet trestle prerouting; add chain inet trestle prerouting { type nat hook prerouting priority -110; };" +
				"add rule inet trestle prerouting fib daddr type local jump hostports")
		},
		"iptables": func(w *street) { w.run("iptables", "-t", "nat", "-I", "PREROUTING", "-j", "CNI-HOSTPORT-DNAT") },
	}
)

func foreignPort(to string) func(*street) bool {
	return func(w *street) bool { return w.hears("two", "tcp", to, "one") }
}

// loopback has the neighbour route the loopback's addresses to the host.
func loopback(network, to, server string) func(*street) bool {
	return func(w *street) bool {
		must(w.T, in("two", func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			for own, gateway := range map[string]string{"127.0.0.1/8": "10.1.0.1", "::1/128": "fd00:1::1"} {
				addr, err := netlink.ParseAddr(own)
				if err != nil {
					return err
				}
				_ = netlink.AddrDel(lo, addr) // it is there the first time alone
				_, all, _ := net.ParseCIDR(own)
				if err := netlink.RouteReplace(&netlink.Route{Dst: all, Gw: net.ParseIP(gateway)}); err != nil {
					return err
				}
			}
			return os.WriteFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", []byte("1"), 0o644)
		}))
		return w.hears("two", network, to, server)
	}
}

// intrudes says whether a datagram to ::1 on the wire gets to the container. An answer from ::1 the neighbour's own kernel would drop.
func intrudes(w *street) bool {
	loopback("udp", "[::1]:9999", "host")(w)
	intruded := false
	must(w.T, in("one", func() error {
		packets, err := net.ListenPacket("udp", "[::]:53")
		if err != nil {
			return err
		}
		defer packets.Close()
		if err := in("two", func() error {
			conn, err := net.Dial("udp", "[::1]:8081")
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Write([]byte("attack"))
			return err
		}); err != nil {
			return err
		}
		_ = packets.SetReadDeadline(time.Now().Add(time.Second))
		_, _, err = packets.ReadFrom(make([]byte, 10))
		intruded = err == nil
		return nil
	}))
	return intruded
}

func service(w *street) bool { return w.hears(outsider, "tcp", "192.0.2.1:8080", "one") }

// serves has a rule of kube-proxy's kind and place lead the host's port 8080 to the neighbour.
func (w *street) serves(backend string) {
	to := w.address("two", true).String() + ":80"
	if backend == "iptables" {
		w.run("iptables", "-t", "nat", "-A", "PREROUTING", "-d", "192.0.2.1", "-p", "tcp", "--dport", "8080", "-j", "DNAT", "--to-destination", to)
		return
	}
	w.nft("add table ip kube; add chain ip kube pre { type nat hook prerouting priority -100; };" +
		"add rule ip kube pre ip daddr 192.0.2.1 tcp dport 8080 dnat to " + to)
}
