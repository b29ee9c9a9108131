package e2e

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

// attack is what an advisory is about. It must fail, and succeed where the protection was taken away: else the test tests nothing.
type attack struct {
	succeeds  func(*street) bool
	unprotect func(*street)
}

// attacks are the advisories that concern rules and settings. CVE-2021-20206, a plugin's type with a path in it, is among the refusals.
var attacks = map[string]attack{
	// A published port takes what only passes the host on its way to somebody else's port of that number.
	"CVE-2025-67499 IPv4": {foreignPort("192.0.2.2:8080"), everyDestination},
	"CVE-2025-67499 IPv6": {foreignPort("[2001:db8::2]:8080"), everyDestination},
	// A neighbour reaches what the host serves on 127.0.0.1 alone, since route_localnet is set for published ports,
	"CVE-2020-8558 service": {loopback("udp", "127.0.0.1:9999", "host"), flushed("guard")},
	// or what a container has published there.
	"CVE-2020-8558 published": {loopback("tcp", "127.0.0.1:8081", "one"), flushed("guard")},
	// A published port overtakes a service of the same port, and the policy that goes with that.
	"CVE-2019-9946": {service, func(w *street) {
		w.nft("delete chain inet trestle prerouting; add chain inet trestle prerouting { type nat hook prerouting priority -110; };" +
			"add rule inet trestle prerouting fib daddr type local jump hostports")
	}},
	// A container tells the host, or its neighbour, by a router advertisement that it is their router.
	"CVE-2020-10749 host":      {advertises("host", "cni0"), accepting("host", "cni0")},
	"CVE-2020-10749 container": {advertises("one", "eth0"), accepting("one", "eth0")},
}

func TestAttacks(t *testing.T) {
	for name, a := range attacks {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				w := attacked(t)
				if a.succeeds(w) {
					t.Error("the attack succeeds")
				}
				a.unprotect(w)
				if !a.succeeds(w) {
					t.Error("without its protection the attack fails as well: the test tests nothing")
				}
			})
		})
	}
}

// attacked is a street with a container that has published ports, and a neighbour that means no good.
func attacked(t *testing.T) *street {
	w := newStreet(t)
	for _, name := range []string{"one", "two"} {
		w.container(name)
		w.attach(name, network(`"isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, `+hostLocal(subnet+`], [{"subnet": "fd00:1::/64"}`)))
		w.serve(name, "tcp", ":80")
	}
	w.serve(outsider, "tcp", ":8080")
	w.serve("host", "udp", "127.0.0.1:9999")
	succeed(t, "ADD", "portmap", "one", w.ports("one", "", mapping("tcp", 8080, 80, ""), mapping("tcp", 8081, 80, `, "hostIP": "127.0.0.1"`)))
	return w
}

func (w *street) serve(container, network, at string) {
	w.Helper()
	must(w.T, in(container, func() error {
		server, err := peer.Serve(container, network, at)
		if err == nil {
			w.servers[container] = append(w.servers[container], server)
		}
		return err
	}))
}

// hears says whether it is that server who answers.
func (w *street) hears(from, network, to, server string) bool {
	answer := ""
	_ = in(from, func() (err error) { // no answer is an answer
		answer, err = peer.Ask(network, to, time.Second)
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

func flushed(chain string) func(*street) {
	return func(w *street) { w.nft("flush chain inet trestle " + chain) }
}

func foreignPort(to string) func(*street) bool {
	return func(w *street) bool { return w.hears("two", "tcp", to, "one") }
}

func everyDestination(w *street) {
	w.nft("flush chain inet trestle prerouting; add rule inet trestle prerouting jump hostports")
}

// loopback has the neighbour route 127.0.0.0/8 to the host.
func loopback(network, to, server string) func(*street) bool {
	return func(w *street) bool {
		must(w.T, in("two", func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			own, err := netlink.ParseAddr("127.0.0.1/8")
			if err != nil {
				return err
			}
			_, all, _ := net.ParseCIDR("127.0.0.0/8")
			_ = netlink.AddrDel(lo, own) // it is there the first time alone
			return errors.Join(netlink.RouteReplace(&netlink.Route{Dst: all, Gw: net.ParseIP("10.1.0.1")}),
				os.WriteFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", []byte("1"), 0o644))
		}))
		return w.hears("two", network, to, server)
	}
}

// service has a rule of kube-proxy's kind and place lead the port to the neighbour.
func service(w *street) bool {
	w.nft("add table ip kube; flush table ip kube; add chain ip kube pre { type nat hook prerouting priority -100; };" +
		"add rule ip kube pre ip daddr 192.0.2.1 tcp dport 8080 dnat to " + w.address("two", true).String() + ":80")
	return w.hears(outsider, "tcp", "192.0.2.1:8080", "one")
}

func accepting(where, link string) func(*street) {
	return func(w *street) {
		must(w.T, in(where, func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/accept_ra", []byte("2"), 0o644) }))
	}
}

// advertises has the neighbour advertise itself, and says whether the link's owner believes it. A datagram behind the advertisement tells
// when that has come.
func advertises(victim, link string) func(*street) bool {
	return func(w *street) bool {
		marker := w.marker(victim)
		must(w.T, in("two", func() error {
			if err := advertise("eth0"); err != nil {
				return err
			}
			conn, err := net.Dial("udp", marker.LocalAddr().String())
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Write([]byte("!"))
			return err
		}))
		must(w.T, marker.SetReadDeadline(time.Now().Add(patience)))
		_, _, err := marker.ReadFrom(make([]byte, 10))
		must(w.T, err)
		must(w.T, marker.Close())
		return w.believes(victim, link)
	}
}

// marker listens where the neighbour can send to.
func (w *street) marker(victim string) (conn net.PacketConn) {
	w.Helper()
	at := netip.MustParseAddr("fd00:1::1")
	if victim != "host" {
		at = w.address(victim, false)
	}
	must(w.T, in(victim, func() (err error) {
		conn, err = net.ListenPacket("udp", netip.AddrPortFrom(at, 0).String())
		return err
	}))
	return conn
}

// believes says whether a route was made of an advertisement.
func (w *street) believes(victim, link string) (believed bool) {
	w.Helper()
	must(w.T, in(victim, func() error {
		routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
		believed = len(routes) > 0
		return err
	}))
	return believed
}

// advertise sends a router advertisement to all nodes (RFC 4861, section 4.2).
func advertise(link string) error {
	conn, err := net.ListenPacket("ip6:58", "::")
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	const hops = 255 // anything less is not believed
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	message := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0} // a router for half an hour
	prefix := []byte{3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0}
	network := netip.MustParseAddr("2001:db8:bad::").As16()
	_, err = conn.WriteTo(append(append(message, prefix...), network[:]...), &net.IPAddr{IP: net.ParseIP("ff02::1"), Zone: link})
	return err
}

// TestAdvertisedDuring has the neighbour advertise itself all the time while a container is added. CVE-2020-10749 is not over when the ADD
// begins with it.
func TestAdvertisedDuring(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := attacked(t)
		w.container("late")
		stop, stopped := make(chan struct{}), make(chan error)
		go func() {
			stopped <- in("two", func() (err error) {
				for {
					select {
					case <-stop:
						return err
					default:
						err = errors.Join(err, advertise("eth0"))
					}
				}
			})
		}()
		w.attach("late", network(`"isDefaultGateway": true, "ipMasq": true, `+hostLocal(subnet+`], [{"subnet": "fd00:1::/64"}`)))
		close(stop)
		must(t, <-stopped)
		if advertises("late", "eth0")(w) || w.believes("host", "cni0") {
			t.Error("the container, or the host, believed an advertisement")
		}
	})
}
