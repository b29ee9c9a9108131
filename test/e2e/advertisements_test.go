package e2e

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

func accepting(where, link string) func(*street) {
	return func(w *street) {
		must(w.T, in(where, func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/accept_ra", []byte("2"), 0o644) }))
	}
}

// advertises has the neighbour advertise itself, and says whether the link's owner believes it.
func advertises(victim, link string) func(*street) bool {
	return func(w *street) bool {
		at := netip.MustParseAddr("fd00:1::1")
		if victim != "host" {
			at = w.address(victim, false)
		}
		w.forge(victim, at, func() error { return advertise("eth0") })
		return w.believes(victim, link)
	}
}

// forge has container two send something, and returns when that has come where it leads to: a datagram behind it, to the victim's address, tells.
func (w *street) forge(victim string, at netip.Addr, send func() error) {
	w.Helper()
	var marker net.PacketConn
	must(w.T, in(victim, func() (err error) {
		marker, err = net.ListenPacket("udp", netip.AddrPortFrom(at, 0).String())
		return err
	}))
	defer marker.Close()
	must(w.T, in("two", func() error {
		if err := errors.Join(stay(), send()); err != nil {
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
	must(w.T, marker.SetReadDeadline(time.Now().Add(soon())))
	_, _, err := marker.ReadFrom(make([]byte, 10))
	must(w.T, err)
}

// stay keeps the calling thread on one processor: each has a queue of its own for what its threads send through a pair, and who is in another overtakes.
func stay() error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	cpu := 0
	for !all.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	return unix.SchedSetaffinity(0, &one)
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
func advertise(link string) error { return advertiseFor(link, 1800) }

// advertiseFor is advertise, for that many seconds as a router: one of 0 has a prefix alone.
func advertiseFor(link string, seconds uint16) error {
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
	message := []byte{134, 0, 0, 0, 64, 0, byte(seconds >> 8), byte(seconds), 0, 0, 0, 0, 0, 0, 0, 0}
	prefix := []byte{3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0}
	network := netip.MustParseAddr("2001:db8:bad::").As16()
	_, err = conn.WriteTo(append(append(message, prefix...), network[:]...), &net.IPAddr{IP: net.ParseIP("ff02::1"), Zone: link})
	return err
}

// TestAdvertisedDuring has the neighbour advertise itself all the time while a container is added. CVE-2020-10749 is not over when the ADD
// begins with it.
func TestAdvertisedDuring(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := attacked(t, "nftables")
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
