package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// probe is one packet that is to be sent: a first segment of TCP, a datagram, or a ping.
type probe struct {
	fd       int
	protocol uint8
	mark     uint16 // the port it is sent from, or the identifier of the ping: by it the packet and its answer are known
	to       netip.AddrPort
}

// newProbe opens a socket in the calling thread's namespace, and sends nothing.
func newProbe(q Question) (*probe, error) {
	p := &probe{protocol: q.Protocol, to: netip.AddrPortFrom(q.To, q.Port)}
	kind, protocol := unix.SOCK_DGRAM, unix.IPPROTO_UDP
	switch q.Protocol {
	case unix.IPPROTO_UDP:
	case unix.IPPROTO_TCP:
		kind, protocol = unix.SOCK_STREAM, unix.IPPROTO_TCP
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		kind, protocol = unix.SOCK_RAW, int(q.Protocol)
	default:
		return nil, fault.New(fault.Unsupported, "ask without --live", "probe: %s: not sent", ruleset.ProtocolName(q.Protocol))
	}
	family := unix.AF_INET6
	if q.To.Is4() {
		family = unix.AF_INET
	}
	var err error
	if p.fd, err = unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol); err != nil {
		return nil, fmt.Errorf("probe: socket: %w", err)
	}
	if err := p.bind(q); err != nil {
		unix.Close(p.fd)
		return nil, fmt.Errorf("probe: bind: %w", err)
	}
	return p, nil
}

// bind takes the source's address and a free port. A ping has no port, and takes a number for one.
func (p *probe) bind(q Question) error {
	source := q.Source
	if !source.IsValid() {
		source = netip.IPv6Unspecified()
		if q.To.Is4() {
			source = netip.IPv4Unspecified()
		}
	}
	if err := unix.Bind(p.fd, sockaddr(netip.AddrPortFrom(source, 0))); err != nil {
		return err
	}
	name, err := unix.Getsockname(p.fd)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		p.mark = uint16(a.Port)
	case *unix.SockaddrInet6:
		p.mark = uint16(a.Port)
	}
	if p.mark == 0 || q.Protocol == unix.IPPROTO_ICMP || q.Protocol == unix.IPPROTO_ICMPV6 {
		p.mark = uint16(unix.Getpid()) | 1<<15
	}
	return err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// send sends it.
func (p *probe) send() error {
	to := p.to
	switch p.protocol {
	case unix.IPPROTO_TCP:
		err := unix.Connect(p.fd, sockaddr(to))
		if errors.Is(err, unix.EINPROGRESS) {
			return nil
		}
		return err
	case unix.IPPROTO_UDP:
		if err := unix.Connect(p.fd, sockaddr(to)); err != nil {
			return err
		}
		_, err := unix.Write(p.fd, []byte{'\n'})
		return err
	}
	return unix.Sendto(p.fd, p.ping(), 0, sockaddr(netip.AddrPortFrom(to.Addr(), 0)))
}

// ping is an echo request (RFC 792, RFC 4443). For IPv6 the kernel fills in the checksum.
func (p *probe) ping() []byte {
	message := make([]byte, 16)
	message[0] = 8
	if p.protocol == unix.IPPROTO_ICMPV6 {
		message[0] = 128
	}
	binary.BigEndian.PutUint16(message[4:], p.mark)
	var sum uint32
	for i := 0; i < len(message); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(message[i:]))
	}
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum>>16+sum&0xffff))
	return message
}

// patience is how long an answer may take.
const patience = time.Second

// await waits for the answer. refused is true where the other side, or somebody on the way, said no.
func (p *probe) await(ctx context.Context) (answered, refused bool, err error) {
	events := int16(unix.POLLIN)
	if p.protocol == unix.IPPROTO_TCP {
		events = unix.POLLOUT
	}
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); {
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: events}}
		const slice = 50 // ms, so that the end of ctx is seen
		if _, err := unix.Poll(fds, slice); err != nil && !errors.Is(err, unix.EINTR) {
			return false, false, err
		}
		if fds[0].Revents == 0 {
			continue
		}
		if errno, _ := unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 {
			return false, true, nil
		}
		if fds[0].Revents&events != 0 && p.mine() {
			return true, false, nil
		}
	}
	return false, false, nil
}

// mine says whether what came is the answer: a raw socket sees every ping's.
func (p *probe) mine() bool {
	if p.protocol != unix.IPPROTO_ICMP && p.protocol != unix.IPPROTO_ICMPV6 {
		return true
	}
	buffer := make([]byte, 1500)
	n, _, err := unix.Recvfrom(p.fd, buffer, 0)
	if err != nil {
		return false
	}
	message, reply := buffer[:n], byte(129)
	if p.protocol == unix.IPPROTO_ICMP && n > 0 {
		message, reply = message[min(int(message[0]&15)*4, n):], 0
	}
	return len(message) >= 6 && message[0] == reply && binary.BigEndian.Uint16(message[4:]) == p.mark
}

// close ends the connection without leaving it open on the other side.
func (p *probe) close() {
	if p.protocol == unix.IPPROTO_TCP {
		_ = unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	unix.Close(p.fd)
}
