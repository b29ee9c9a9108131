package step

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

var announceOne = Announce{Host: link, IfName: "eth0", Bridge: "br0", Subnet: "br0", Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fd00::2")}}

// listen returns a socket that receives every frame on the namespace's eth0.
func listen(t *testing.T, path string) int {
	t.Helper()
	fd := -1
	err := nstest.In(path, func() (err error) {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // in network order
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: eth0.Index}))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// next returns the first frame that the test is for.
func next(t *testing.T, fd int, is func([]byte) bool) []byte {
	t.Helper()
	buffer := make([]byte, 2000)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			t.Fatalf("no such frame: %v", err)
		}
		if frame := bytes.Clone(buffer[:n]); is(frame) {
			return frame
		}
	}
}

// When ADD returns, the container is listening for whoever asks for its address.
func TestListensAtOnce(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(full...)
		h.apply(announceOne)
		if out := h.inside("ip maddress show dev eth0"); !strings.Contains(out, "ff02::1:ff00:2") {
			t.Errorf("the group of fd00::2 is not joined:\n%s", out)
		}
	})
}

func TestSolicitedNode(t *testing.T) {
	for addr, want := range map[string]string{"fd00::2": "ff02::1:ff00:2", "2001:db8::abcd:1234:5678": "ff02::1:ff34:5678"} {
		if got := solicitedNode(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// Everybody on the bridge sees the announcements, which the reference sends before its port forwards (B7).
func TestAnnouncementsAreSeen(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		fd := listen(t, h.join("c2", 2))
		h.apply(pair, addrs, pairUp, announceOne)
		arp := next(t, fd, func(f []byte) bool {
			return bytes.Equal(f[12:14], []byte{8, 6}) && bytes.Equal(f[38:42], []byte{10, 1, 0, 2})
		})
		want := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 2, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
			2, 0, 0, 0, 2, 1, 10, 1, 0, 2, 0, 0, 0, 0, 0, 0, 10, 1, 0, 2}
		if !bytes.Equal(arp[:len(want)], want) {
			t.Errorf("ARP %x, want %x", arp, want)
		}
		const solicited = 0x40
		na := next(t, fd, func(f []byte) bool {
			return len(f) >= 86 && bytes.Equal(f[12:14], []byte{0x86, 0xdd}) && f[20] == unix.IPPROTO_ICMPV6 && f[54] == 136 && f[58]&solicited == 0 &&
				bytes.Equal(f[62:78], net.ParseIP("fd00::2"))
		})
		checkAdvertisement(t, na)
	})
}

// checkAdvertisement reads an unsolicited neighbour advertisement as RFC 4861, section 7.1.2 has a receiver do.
func checkAdvertisement(t *testing.T, frame []byte) {
	t.Helper()
	mac := []byte{2, 0, 0, 0, 2, 1}
	for what, ok := range map[string]bool{
		"for all nodes":                bytes.Equal(frame[:6], []byte{0x33, 0x33, 0, 0, 0, 1}) && bytes.Equal(frame[38:54], net.ParseIP("ff02::1")),
		"from the address itself":      bytes.Equal(frame[6:12], mac) && bytes.Equal(frame[22:38], net.ParseIP("fd00::2")),
		"hop limit 255":                frame[21] == 255,
		"of 32 bytes":                  binary.BigEndian.Uint16(frame[18:]) == 32,
		"overrides":                    frame[58] == 0x20,
		"target link-layer address":    bytes.Equal(frame[78:86], append([]byte{2, 1}, mac...)),
		"checksum over pseudo-header":  sum(frame) == 0xffff,
		"version 6, no traffic class ": binary.BigEndian.Uint32(frame[14:]) == 0x60000000,
	} {
		if !ok {
			t.Errorf("advertisement %x: not %q", frame, what)
		}
	}
}

// sum adds up what an ICMPv6 checksum covers, itself included; a right one makes it 0xffff (RFC 4443, section 2.3).
func sum(frame []byte) uint32 {
	total := uint32(binary.BigEndian.Uint16(frame[18:])) + unix.IPPROTO_ICMPV6
	for i := 22; i < 86; i += 2 {
		total += uint32(frame[i])<<8 + uint32(frame[i+1])
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return total
}

// An address that was another container's a moment ago answers at once: from the host and from a neighbour, both of which remember the
// other's MAC.
func TestReusedAddressAnswersAtOnce(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, gateway("10.1.0.1/24", "fd00::1/64"))
		neighbour := h.join("c2", 2, "10.1.0.3/24", "fd00::3/64")
		for _, address := range []string{"10.1.0.2", "fd00::2"} {
			entry := " neigh replace " + address + " lladdr 02:00:00:00:00:99 nud reachable dev "
			h.run("ip" + entry + "br0")
			h.run("ip -n c2" + entry + "eth0")
		}
		h.apply(pair, addrs, pairUp, announceOne)
		for _, address := range []string{"10.1.0.2:7", "[fd00::2]:7"} {
			h.must(nstest.In(h.netns, func() error {
				server, err := peer.Serve("c1", "udp", address)
				if err == nil {
					t.Cleanup(func() { server.Close() })
				}
				return err
			}))
			ask := func() error { _, err := peer.Ask("udp", address, time.Second); return err }
			if err := ask(); err != nil {
				t.Errorf("from the host: %v", err)
			}
			if err := nstest.In(neighbour, ask); err != nil {
				t.Errorf("from a neighbour: %v", err)
			}
		}
	})
}

// A neighbour that asks for the address while nobody has it knows the new owner before the ADD returns. Without the announcement it would ask again
// after a second, whatever the MAC: that is why one that follows from the address would not make the announcement unnecessary.
func TestAskedMeanwhile(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		neighbour := h.join("c2", 2, "10.1.0.3/24", "fd00::3/64")
		h.looksFor(neighbour, "10.1.0.2", "fd00::2")
		for _, address := range []string{"10.1.0.2", "fd00::2"} {
			if entry := h.run("ip -n c2 neigh show " + address); !strings.Contains(entry, "INCOMPLETE") {
				t.Fatalf("before: %s", entry)
			}
		}
		h.apply(pair, addrs, pairUp, announceOne)
		for _, address := range []string{"10.1.0.2", "fd00::2"} {
			if entry := h.run("ip -n c2 neigh show " + address); !strings.Contains(entry, "lladdr 02:00:00:00:02:01") {
				t.Errorf("after: %s", entry)
			}
		}
	})
}

// looksFor sends something to the addresses, one after the other, so that the neighbour's kernel asks who has them.
func (h *host) looksFor(neighbour string, addresses ...string) {
	h.Helper()
	h.must(nstest.In(neighbour, func() error {
		for _, address := range addresses {
			conn, err := net.Dial("udp", net.JoinHostPort(address, "7"))
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.Write([]byte("?")); err != nil {
				return err
			}
		}
		return nil
	}))
}

// The container's end may come up later than the host's: the port is waited for, by the kernel's event.
func TestPortForwardsLater(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair, addrs, Up{Host: link})
		soon, cancel := context.WithTimeout(h.ctx, 100*time.Millisecond)
		defer cancel()
		if _, err := announceOne.Apply(soon, h.Site); fault.Code(err) != fault.TryLater || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("a port whose other end is down: %v", err)
		}
		done := make(chan error, 1)
		other := h.open(h.netns)
		go func() { _, err := announceOne.Apply(h.ctx, other); done <- err }()
		h.apply(pairUp)
		h.must(<-done)
		port, err := h.Host.Conn.BridgePort(link)
		if err != nil || port.State != rtnl.Forwarding {
			t.Errorf("port %+v, %v", port, err)
		}
	})
}

func TestAnnounceVerify(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(full...)
		h.apply(announceOne)
		h.must(announceOne.Verify(h.ctx, h.Site))
		h.run("ip link set " + link + " down")
		refuses(t, announceOne.Verify(h.ctx, h.Site), fault.Drift, "forwarding")
		h.run("ip link set " + link + " nomaster")
		h.must(announceOne.Verify(h.ctx, h.Site)) // the pair's own Verify says it
		_, err := announceOne.Apply(h.ctx, h.Site)
		refuses(t, err, fault.Internal, link, "not a port of bridge br0")
		h.run("ip link del " + link)
		h.must(announceOne.Verify(h.ctx, h.Site))
		h.must(announceOne.Undo(h.ctx, h.Site))
	})
}
