package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// tag is that of a VLAN: the protocol of it, and priority and number.
type tag struct{ protocol, number uint16 }

// frames are what a container may send to be taken for a router, and what looks like it and is none.
var frames = []struct {
	name   string
	tags   []tag
	packet []byte
	passes bool
}{
	{"an advertisement", nil, icmp6(134), false},
	{"behind a header of options", nil, optional(icmp6(134)), false},
	{"tagged with a priority", []tag{{unix.ETH_P_8021Q, 0}}, icmp6(134), false},
	{"tagged with another priority", []tag{{unix.ETH_P_8021Q, 7 << 13}}, icmp6(134), false},
	{"tagged with a provider's priority", []tag{{unix.ETH_P_8021AD, 0}}, icmp6(134), false},
	{"tagged twice with a priority", []tag{{unix.ETH_P_8021Q, 0}, {unix.ETH_P_8021Q, 0}}, icmp6(134), false},
	{"tagged three times", []tag{{unix.ETH_P_8021AD, 0}, {unix.ETH_P_8021AD, 1 << 13}, {unix.ETH_P_8021Q, 0}}, icmp6(134), false},
	{"on a VLAN", []tag{{unix.ETH_P_8021Q, 5}}, icmp6(134), false},
	{"on a VLAN, with a priority", []tag{{unix.ETH_P_8021Q, 5}, {unix.ETH_P_8021Q, 1 << 13}}, icmp6(134), false},
	{"on a provider's VLAN", []tag{{unix.ETH_P_8021AD, 5}}, icmp6(134), false},
	{"a redirect of IPv6", nil, icmp6(137), false},
	{"a redirect of IPv6 on a VLAN", []tag{{unix.ETH_P_8021Q, 5}}, icmp6(137), false},
	{"a redirect of IPv4", nil, icmp4(5), false},
	{"a redirect of IPv4, tagged with a priority", []tag{{unix.ETH_P_8021Q, 0}}, icmp4(5), false},
	{"a solicitation", nil, icmp6(135), true},
	{"a router's solicitation", nil, icmp6(133), true},
	{"a solicitation on a VLAN", []tag{{unix.ETH_P_8021Q, 5}}, icmp6(135), true},
	{"an echo on a VLAN of a VLAN", []tag{{unix.ETH_P_8021AD, 5}, {unix.ETH_P_8021Q, 7}}, icmp6(128), true},
	{"an echo", nil, icmp4(8), true},
}

// TestFramesOfRouters sends, from one port of a bridge with our gateway, what would make its sender a router in the eyes of its neighbours, in all the
// frames in which a neighbour would look at it. None arrives, and all else does; without the guard all arrive, and the neighbour believes.
func TestFramesOfRouters(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		for _, id := range []string{"one", "two"} {
			w.container(id)
			w.attach(id, network(`"isGateway": true, `+hostLocal(subnet)))
		}
		must(t, in("one", func() error { return awaitLinkLocal("eth0") }))
		must(t, in("two", func() error { return awaitLinkLocal("eth0") }))
		for i, arrived := range w.exchange() {
			if f := frames[i]; arrived != f.passes {
				t.Errorf("%s arrives: %t, want %t", f.name, arrived, f.passes)
			}
		}
		if w.believes("one", "eth0") {
			t.Error("the neighbour is believed")
		}
		w.nft("flush chain bridge trestle advertised")
		for i, arrived := range w.exchange() {
			if !arrived {
				t.Errorf("without the guard %s fails as well: the test tests nothing", frames[i].name)
			}
		}
		if !w.believes("one", "eth0") {
			t.Error("without the guard the neighbour is not believed either")
		}
	})
}

// exchange sends all frames from two, and says which of them one gets. The last one always arrives.
func (w *street) exchange() []bool {
	w.Helper()
	got := make([]bool, len(frames))
	at, from := w.packets("one"), w.packets("two")
	defer unix.Close(at)
	defer unix.Close(from)
	for i, f := range frames {
		must(w.T, unix.Send(from, ether(f.tags, bytes.Replace(f.packet, label(0), label(i), 1)), 0))
	}
	for buffer := make([]byte, 2000); !got[len(got)-1]; {
		n, err := unix.Read(at, buffer)
		must(w.T, err)
		for i := range got {
			got[i] = got[i] || bytes.Contains(buffer[:n], label(i))
		}
	}
	return got
}

// packets is a socket for the frames of the container's interface, which gives up in time.
func (w *street) packets(container string) (fd int) {
	w.Helper()
	must(w.T, in(container, func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index})
	}))
	patience := unix.NsecToTimeval(soon().Nanoseconds())
	must(w.T, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
	return fd
}

// label tells the frames apart. Neighbour discovery takes it for an option that it does not know.
func label(i int) []byte { return fmt.Appendf(nil, "\xfd\x01no%04d", i) }

// ether is a frame to all.
func ether(tags []tag, packet []byte) []byte {
	frame := []byte{0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0xba, 0xd0}
	for _, t := range tags {
		frame = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(frame, t.protocol), t.number)
	}
	kind := uint16(unix.ETH_P_IPV6)
	if packet[0]>>4 == 4 {
		kind = unix.ETH_P_IP
	}
	packet = checked(packet)
	return append(binary.BigEndian.AppendUint16(frame, kind), packet...)
}

// icmp6 is a message of the type to all nodes. As an advertisement it is of a router for half an hour.
func icmp6(kind byte) []byte {
	from, to := netip.MustParseAddr("fe80::bad").As16(), netip.MustParseAddr("ff02::1").As16()
	message := append([]byte{kind, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}, label(0)...)
	header := []byte{0x60, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255}
	return append(append(append(header, from[:]...), to[:]...), message...)
}

// optional puts a header of options, of which there is none, before the message.
func optional(packet []byte) []byte {
	options := []byte{packet[6], 0, 1, 4, 0, 0, 0, 0}
	packet = append(append(packet[:40:40], options...), packet[40:]...)
	packet[5], packet[6] = packet[5]+8, unix.IPPROTO_DSTOPTS
	return packet
}

// icmp4 is a message of the type to 10.1.0.2.
func icmp4(kind byte) []byte {
	message := append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, label(0)...)
	return append([]byte{0x45, 0, 0, byte(20 + len(message)), 0, 0, 0, 0, 64, unix.IPPROTO_ICMP, 0, 0, 10, 1, 0, 3, 10, 1, 0, 2}, message...)
}

// checked fills in the checksums (RFC 1071, RFC 4443).
func checked(packet []byte) []byte {
	packet = bytes.Clone(packet)
	if packet[0]>>4 == 4 {
		binary.BigEndian.PutUint16(packet[10:], sum(packet[:20]))
		binary.BigEndian.PutUint16(packet[22:], sum(packet[20:]))
		return packet
	}
	at := 40
	if packet[6] == unix.IPPROTO_DSTOPTS {
		at = 48
	}
	pseudo := append(bytes.Clone(packet[8:40]), 0, 0, 0, byte(len(packet)-at), 0, 0, 0, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(packet[at+2:], sum(append(pseudo, packet[at:]...)))
	return packet
}

func sum(b []byte) uint16 {
	total := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		total += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}
