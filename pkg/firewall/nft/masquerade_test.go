package nft

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// beyond gives the client further addresses, to which the host has routes, and a route to the containers.
func (w *town) beyond(addrs ...string) {
	w.Helper()
	must(w, enter(w.client, func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		err = addresses(eth0, addrs...)
		for _, subnet := range []string{"10.1.0.0/24 192.0.2.1", "fd00:1::/64 2001:db8::1"} {
			err = errors.Join(err, netlink.RouteAdd(via(subnet)))
		}
		return err
	}))
	for _, addr := range addrs {
		gateway := " 192.0.2.2"
		if netip.MustParsePrefix(addr).Addr().Is6() {
			gateway = " 2001:db8::2"
		}
		must(w, netlink.RouteAdd(via(addr+gateway)))
	}
}

// via reads `prefix gateway`.
func via(text string) *netlink.Route {
	dst, gateway, _ := strings.Cut(text, " ")
	_, network, _ := net.ParseCIDR(dst)
	return &netlink.Route{Dst: network, Gw: net.ParseIP(gateway)}
}

// masq is one address of a container, in a subnet that need not be the one it has here.
func masq(addr, subnet string, except ...string) firewall.Masq {
	m := firewall.Masq{Addr: netip.MustParseAddr(addr), Subnet: netip.MustParsePrefix(subnet)}
	for _, p := range except {
		m.Except = append(m.Except, netip.MustParsePrefix(p))
	}
	return m
}

// TestExcept sends to destinations that are excepted, one inside the other, and to others.
func TestExcept(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.beyond("172.16.0.1/32", "172.20.0.1/32", "fd77::1/128", "fd88::1/128")
		w.serve(w.client, "client", ":7000")
		w.claim("one", firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{
			masq("10.1.0.2", "10.1.0.0/24", "172.16.0.0/24", "172.16.0.0/16", "10.1.0.0/28"), masq("fd00:1::2", "fd00:1::/64", "fd77::/16")}})
		w.hears("excepted", w.one, "tcp", "172.16.0.1:7000", "client saw 10.1.0.2")
		w.hears("not excepted", w.one, "tcp", "172.20.0.1:7000", "client saw 192.0.2.1")
		w.hears("excepted", w.one, "tcp", "[fd77::1]:7000", "client saw fd00:1::2")
		w.hears("not excepted", w.one, "tcp", "[fd88::1]:7000", "client saw 2001:db8::1")
	})
}

// TestOwnMeaning has networks with one subnet, and with one inside the other. Each container keeps the meaning of its own, in whatever
// order they come: as in the reference, one of the inner network is masqueraded on its way to the rest of the outer one.
func TestOwnMeaning(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.beyond("10.1.5.5/32", "fd00:1:0:5::5/128", "172.16.0.1/32")
		w.serve(w.client, "client", ":7000")
		claims := map[string]firewall.Claim{
			"one": {Role: firewall.Masquerade, Masq: []firewall.Masq{masq("10.1.0.2", "10.1.0.0/16"), masq("fd00:1::2", "fd00:1::/48")}},
			"two": {Role: firewall.Masquerade, Masq: []firewall.Masq{masq("10.1.0.3", "10.1.0.0/24", "172.16.0.0/12"), masq("fd00:1::3", "fd00:1::/64")}},
		}
		for _, order := range [][]string{{"one", "two"}, {"two", "one"}} {
			for _, id := range order {
				w.claim(id, claims[id])
			}
			w.hears("outer", w.one, "tcp", "10.1.5.5:7000", "client saw 10.1.0.2")
			w.hears("inner", w.two, "tcp", "10.1.5.5:7000", "client saw 192.0.2.1")
			w.hears("outer", w.one, "tcp", "[fd00:1:0:5::5]:7000", "client saw fd00:1::2")
			w.hears("inner", w.two, "tcp", "[fd00:1:0:5::5]:7000", "client saw 2001:db8::1")
			w.hears("no exception", w.one, "tcp", "172.16.0.1:7000", "client saw 192.0.2.1")
			w.hears("an exception", w.two, "tcp", "172.16.0.1:7000", "client saw 10.1.0.3")
			w.filter.deletes = true // what expires is gone at the next tick; what is deleted, at once
			for _, id := range order {
				must(t, w.filter.Drop(t.Context(), owner.Of("net", id, "eth0"), claims[id]))
			}
		}
	})
}

// TestInvalid sends a reset that belongs to no connection, and then a first segment. Nothing may leave with a private address, unless
// it goes where it may.
func TestInvalid(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.beyond("172.16.0.1/32")
		w.claim("one", firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{masq("10.1.0.2", "10.1.0.0/24", "172.16.0.0/16")}})
		arriving := w.segments(w.client)
		first := func(to string) string {
			t.Helper()
			must(t, nstest.In(w.one, func() error { return errors.Join(segment(to, reset), segment(to, synchronize)) }))
			return receiveSegment(t, arriving)
		}
		if got := first("192.0.2.2"); got != "192.0.2.1 synchronizes" {
			t.Errorf("first came %q", got)
		}
		if got := first("172.16.0.1"); got != "10.1.0.2 resets" {
			t.Errorf("to an excepted destination first came %q", got)
		}
		receiveSegment(t, arriving)
		nftool(t, "flush chain inet trestle forward")
		if got := first("192.0.2.2"); got != "10.1.0.2 resets" {
			t.Errorf("without the rule first came %q: the test tests nothing", got)
		}
	})
}

// Flags of a TCP header, RFC 9293.
const (
	synchronize = 2
	reset       = 4
)

// closed is a port on which nobody listens.
const closed = 9

// segment sends a bare TCP header with the flag to port 9.
func segment(to string, flag byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dst := netip.MustParseAddr(to).As4()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: dst}); err != nil {
		return err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	header := make([]byte, 20)
	binary.BigEndian.PutUint16(header, 40000)
	binary.BigEndian.PutUint16(header[2:], closed)
	header[12], header[13] = 5<<4, flag
	source := name.(*unix.SockaddrInet4).Addr
	pseudo := append(append(source[:], dst[:]...), 0, unix.IPPROTO_TCP, 0, byte(len(header)))
	binary.BigEndian.PutUint16(header[16:], internetChecksum(append(pseudo, header...)))
	_, err = unix.Write(fd, header)
	return err
}

// internetChecksum is that of RFC 1071.
func internetChecksum(data []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// segments opens a socket that sees the TCP segments that come to the namespace.
func (w *town) segments(path string) (fd int) {
	w.Helper()
	must(w, enter(path, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP); err != nil {
			return err
		}
		wait := unix.NsecToTimeval(patient.Nanoseconds())
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	}))
	w.Cleanup(func() { unix.Close(fd) })
	return fd
}

// receiveSegment tells the next segment to port 9: where it comes from, and what it does.
func receiveSegment(t *testing.T, fd int) string {
	t.Helper()
	packet := make([]byte, 1500)
	for {
		n, err := unix.Read(fd, packet)
		must(t, err)
		start := int(packet[0]&15) * 4 // of the TCP header
		if n < start+20 || binary.BigEndian.Uint16(packet[start+2:]) != closed {
			continue
		}
		from, _ := netip.AddrFromSlice(packet[12:16])
		if packet[start+13]&reset != 0 {
			return from.String() + " resets"
		}
		return from.String() + " synchronizes"
	}
}
