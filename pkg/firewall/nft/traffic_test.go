package nft

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

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

func masqueraded(addrs ...string) firewall.Claim {
	c := firewall.Claim{Role: firewall.Masquerade}
	for _, text := range addrs {
		p := netip.MustParsePrefix(text)
		c.Masq = append(c.Masq, firewall.Masq{Addr: p.Addr(), Subnet: p.Masked()})
	}
	return c
}

// published leads a host port of a protocol to the target, with SNATHairpin.
func published(protocol uint8, hostIP string, port uint16, target string) firewall.Port {
	p := firewall.Port{Protocol: protocol, HostPort: port, Target: netip.MustParseAddrPort(target), SNAT: firewall.SNATHairpin}
	if hostIP != "" {
		p.HostIP = netip.MustParseAddr(hostIP)
	}
	p.Subnet = netip.MustParsePrefix("10.1.0.0/24")
	if p.Target.Addr().Is6() {
		p.Subnet = netip.MustParsePrefix("fd00:1::/64")
	}
	return p
}

func TestMasquerade(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.serve(w.client, "client", ":7000")
		w.serve(w.two, "two", ":7000")
		w.claim("one", masqueraded("10.1.0.2/24", "fd00:1::2/64"))
		for _, network := range []string{"tcp", "udp"} {
			w.hears("out", w.one, network, "192.0.2.2:7000", "client saw 192.0.2.1")
			w.hears("out", w.one, network, "[2001:db8::2]:7000", "client saw 2001:db8::1")
			w.hears("inside", w.one, network, "10.1.0.3:7000", "two saw 10.1.0.2")
			w.hears("inside", w.one, network, "[fd00:1::3]:7000", "two saw fd00:1::2")
		}
	})
}

func TestPublish(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.serve(w.one, "one", ":80")
		w.serve(w.two, "two", ":80")
		w.serve(w.client, "client", ":8080")
		must(t, w.filter.Ground(t.Context()))
		sysctl(t, "net/ipv4/conf/br0/route_localnet", "1")
		w.claim("one", masqueraded("10.1.0.2/24", "fd00:1::2/64"))
		w.claim("one", firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{
			published(6, "", 8080, "10.1.0.2:80"), published(6, "", 8080, "[fd00:1::2]:80"),
			published(17, "", 8080, "10.1.0.2:80"), published(17, "", 8080, "[fd00:1::2]:80"),
			published(6, "", 9000, "10.1.0.2:80"),
		}})
		w.claim("two", firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{published(6, "192.0.2.1", 9000, "10.1.0.3:80")}})
		for _, network := range []string{"tcp", "udp"} {
			w.hears("from outside", w.client, network, "192.0.2.1:8080", "one saw 192.0.2.2")
			w.hears("from outside", w.client, network, "[2001:db8::1]:8080", "one saw 2001:db8::2")
			w.hears("from the host", w.host, network, "192.0.2.1:8080", "one saw 192.0.2.1")
			w.hears("from the host by loopback", w.host, network, "127.0.0.1:8080", "one saw 10.1.0.1")
			w.hears("from the neighbour", w.two, network, "192.0.2.1:8080", "one saw 10.1.0.1")
			w.hears("from the neighbour", w.two, network, "[2001:db8::1]:8080", "one saw fd00:1::1")
			w.hears("from itself", w.one, network, "192.0.2.1:8080", "one saw 10.1.0.1")
			w.hears("from itself", w.one, network, "[2001:db8::1]:8080", "one saw fd00:1::1")
			w.hears("to somebody else's port", w.one, network, "192.0.2.2:8080", "client saw 192.0.2.1")
			w.hears("to somebody else's port", w.one, network, "[2001:db8::2]:8080", "client saw 2001:db8::1")
		}
		w.hears("the specific address wins", w.client, "tcp", "192.0.2.1:9000", "two saw 192.0.2.2")
		w.hears("another address", w.two, "tcp", "10.1.0.1:9000", "one saw 10.1.0.1")
		w.filter.deletes = true // what expires is gone at the next tick; what is deleted, at once
		must(t, w.filter.Drop(t.Context(), owner.Of("net", "one", "eth0"), firewall.Claim{Role: firewall.Publish}))
		if answer, err := ask(w.client, "tcp", "192.0.2.1:8080"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a port that was dropped: answer %q, error %v, want a refusal", answer, err)
		}
	})
}

// TestSNAT publishes to all clients under the host's address, and to none.
func TestSNAT(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.serve(w.one, "one", ":80")
		w.serve(w.one, "one", ":81")
		all, none := published(6, "", 8080, "10.1.0.2:80"), published(6, "", 8081, "10.1.0.2:81")
		all.SNAT, none.SNAT = firewall.SNATAll, firewall.SNATNone
		w.claim("one", firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{all, none}})
		w.hears("all", w.client, "tcp", "192.0.2.1:8080", "one saw 10.1.0.1")
		w.hears("none", w.client, "tcp", "192.0.2.1:8081", "one saw 192.0.2.2")
	})
}

// TestGuard lets a neighbour send to 127.0.0.1 of a host with route_localnet. A second packet, which may pass, tells that the
// first one should have come.
func TestGuard(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		must(t, w.filter.Ground(t.Context()))
		sysctl(t, "net/ipv4/conf/br0/route_localnet", "1")
		secret, err := net.ListenPacket("udp", "127.0.0.1:9999")
		must(t, err)
		defer secret.Close()
		public, err := net.ListenPacket("udp", "10.1.0.1:9998")
		must(t, err)
		defer public.Close()
		must(t, enter(w.two, func() error {
			loopback := &net.IPNet{IP: net.IPv4(127, 0, 0, 0), Mask: net.CIDRMask(8, 32)}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			own := &net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: loopback.Mask}
			return errors.Join(netlink.AddrDel(lo, &netlink.Addr{IPNet: own}),
				netlink.RouteAdd(&netlink.Route{Dst: loopback, Gw: net.ParseIP("10.1.0.1")}),
				os.WriteFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", []byte("1"), 0o644))
		}))
		reaches := func() bool {
			must(t, enter(w.two, func() error { return errors.Join(send("127.0.0.1:9999"), send("10.1.0.1:9998")) }))
			must(t, public.SetReadDeadline(time.Now().Add(patient)))
			_, _, err := public.ReadFrom(make([]byte, 10))
			must(t, err)
			return waiting(t, secret)
		}
		if reaches() {
			t.Error("a neighbour's packet reached 127.0.0.1")
		}
		nftool(t, "flush chain inet trestle guard")
		if !reaches() {
			t.Error("without the guard no packet came: the test tests nothing")
		}
	})
}

func send(to string) error {
	conn, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("!"))
	return err
}

// waiting says whether a packet has come, without waiting for one.
func waiting(t *testing.T, packets net.PacketConn) (ready bool) {
	t.Helper()
	raw, err := packets.(syscall.Conn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 10), unix.MSG_DONTWAIT)
		ready = err == nil
	}))
	return ready
}
