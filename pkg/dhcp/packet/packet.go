// Package packet sends and receives DHCP messages by an interface that may have no address yet: IP packets with UDP in them, put together here.
package packet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The ports of both sides, RFC 2131, section 4.1.
const (
	serverPort = 67
	clientPort = 68
)

// hands bounds how many calls of the kernel's go on at the same time, whoever has how many sockets.
var hands = make(chan struct{}, 4)

// ByHand calls the kernel by f. A call takes a thread for as long as it lasts, on a busy machine until a processor is free: so that there are few, a daemon makes
// all of its calls so.
func ByHand(f func() error) error {
	hands <- struct{}{}
	defer func() { <-hands }()
	return f()
}

// Socket is a packet socket on one interface. It stays in the namespace in which it was opened.
type Socket struct {
	file *os.File
	link int
	own  net.HardwareAddr
}

// Way is where a message goes, or where one came from. The zero MAC is everybody's.
type Way struct {
	MAC      net.HardwareAddr
	From, To netip.Addr
}

// everybody is who gets what goes to this address.
var everybody = net.HardwareAddr{255, 255, 255, 255, 255, 255}

// Everybody is the way of who has no address, or knows no server.
func Everybody(from netip.Addr) Way {
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
	}
	return Way{everybody, from, netip.AddrFrom4([4]byte{255, 255, 255, 255})}
}

// Open opens a socket on the interface with the index, in the calling thread's network namespace.
func Open(link int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) // of no protocol: nothing comes before the filter is there
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(toClient)), Filter: &toClient[0]})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: link})
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	return &Socket{os.NewFile(uintptr(fd), "packet socket"), link, hardware(name)}, nil
}

// hardware is the Ethernet address of a packet socket's interface, or of who sent to it.
func hardware(a unix.Sockaddr) net.HardwareAddr {
	l, is := a.(*unix.SockaddrLinklayer)
	if !is {
		return nil
	}
	return append(net.HardwareAddr(nil), l.Addr[:min(int(l.Halen), len(l.Addr))]...)
}

// Close closes the socket.
func (s *Socket) Close() { s.file.Close() }

func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// toClient takes in UDP to port 68, of which the headers are whole, and answers of ARP (BPF, Documentation/networking/filter.rst).
var toClient = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: protocolAt},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 2, K: unix.ETH_P_ARP},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: arpOperation},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 8, Jf: 9, K: arpReply},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 8, K: unix.ETH_P_IP},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 6, K: unix.IPPROTO_UDP},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 6},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 4, Jf: 0, K: 0x1fff}, // not the first part of a packet
	{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: clientPort},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// protocolAt is where a filter finds a packet's protocol, SKF_AD_OFF + SKF_AD_PROTOCOL.
const protocolAt = 1<<32 - 0x1000

// Send sends a message, and returns when the interface has it.
func (s *Socket) Send(way Way, message []byte) error {
	return s.send(unix.ETH_P_IP, way.MAC, pack(way, message))
}

func (s *Socket) send(protocol uint16, mac net.HardwareAddr, packet []byte) error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: s.link, Halen: uint8(len(mac))}
	copy(to.Addr[:], mac)
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = ByHand(func() error { return unix.Sendto(int(fd), packet, 0, to) })
		return !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}

// pack puts the headers of IP (RFC 791) and UDP (RFC 768) before the message.
func pack(way Way, message []byte) []byte {
	const ip, udp, dontFragment, ttl = 20, 8, 0x4000, 64
	size := len(message) + udp
	b := []byte{0x45, 0}
	for _, n := range []uint16{uint16(ip + size), 0, dontFragment, ttl<<8 | unix.IPPROTO_UDP, 0} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	b = append(append(b, way.From.AsSlice()...), way.To.AsSlice()...)
	binary.BigEndian.PutUint16(b[10:], checksum(0, b))
	for _, n := range []int{clientPort, serverPort, size, 0} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, message...)
	sum := checksum(uint32(unix.IPPROTO_UDP+size), b[12:]) // both addresses are part of what is summed up
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[ip+6:], sum)
	return b
}

// checksum is that of RFC 1071, of a start and what follows.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// mostBytes is more than a message has: one that is to be sent whole over any link fits 576 (RFC 2131, section 2), and a jumbo frame holds no longer one.
const mostBytes = 9000

// Receive waits for a message and returns it with the way that it came. When ctx ends first, the error is ctx's. The sum of a packet is not looked at: of one
// that never left the machine it may not have been reckoned.
func (s *Socket) Receive(ctx context.Context) (way Way, message []byte, err error) {
	err = s.receive(ctx, unix.ETH_P_IP, func(packet []byte, from net.HardwareAddr) (whole bool) {
		if way, message, whole = unpack(packet); whole {
			way.MAC = from
		}
		return whole
	})
	return way, message, err
}

// receive takes packets of a protocol until one is wanted, or ctx ends.
func (s *Socket) receive(ctx context.Context, protocol uint16, wanted func(packet []byte, from net.HardwareAddr) bool) error {
	_ = s.file.SetReadDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) })()
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	buffer := make([]byte, mostBytes)
	for {
		var n int
		var from unix.Sockaddr
		var received error
		err := raw.Read(func(fd uintptr) bool {
			received = ByHand(func() (err error) {
				n, from, err = unix.Recvfrom(int(fd), buffer, 0)
				return err
			})
			return !errors.Is(received, unix.EAGAIN)
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(received, unix.EINTR), errors.Is(received, unix.ENETDOWN): // the interface may come up again
			continue
		case err != nil || received != nil:
			return errors.Join(err, received)
		}
		if l, is := from.(*unix.SockaddrLinklayer); is && l.Protocol == networkOrder(protocol) && wanted(buffer[:n], hardware(from)) {
			return nil
		}
	}
}

// unpack finds the message in a packet that the filter let in.
func unpack(b []byte) (way Way, message []byte, whole bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return way, nil, false
	}
	head, size := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || size > len(b) || head+8 > size || binary.BigEndian.Uint16(b[head:]) != serverPort {
		return way, nil, false
	}
	way.From, way.To = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	end := head + int(binary.BigEndian.Uint16(b[head+4:]))
	if end < head+8 || end > size {
		return way, nil, false
	}
	return way, append([]byte(nil), b[head+8:end]...), true
}
