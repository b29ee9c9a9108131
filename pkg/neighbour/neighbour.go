// Package neighbour asks those on a link whether one of them has an address, before somebody else is given it.
package neighbour

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
)

// How it is asked: more often and for less long than by RFC 5227, which has a human's patience and slow links in mind. The whole is what the kernel takes for an
// IPv6 address (RFC 4862, section 5.4: one question, a second).
const (
	questions = 4
	pause     = 250 * time.Millisecond // after each
	carrier   = 2 * time.Second        // how long is waited for one: a link's comes when the kernel gets to it
	queued    = 1 << 10                // how many frames, more than a socket holds, are read when the pause is over
)

// Ask returns nil if nobody on the interface's link answers for an address, and else the fault that names who did. The interface has none of the addresses
// yet; it may be down, and is again afterwards, so that what is to be set before it comes up still can be.
func Ask(ctx context.Context, namespace int, name string, addrs []netip.Addr) (err error) {
	l, err := open(namespace, name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	defer unix.Close(l.fd)
	restore, err := l.up()
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, restore()) }()
	if err := l.ask(ctx, addrs); err != nil {
		return err
	}
	if flags, err := l.flags(); err != nil || flags&unix.IFF_RUNNING == 0 {
		return errors.Join(err, fault.New(fault.TryLater, "see ip link show dev "+name, "interface %s: has no carrier, so nobody could be asked for its addresses", name))
	}
	return nil
}

// link is an interface of a container, and a socket that sees all its frames.
type link struct {
	fd    int
	name  string
	index int
	mac   net.HardwareAddr
}

func open(namespace int, name string) (l link, err error) {
	home, err := netns.Home()
	if err != nil {
		return l, err
	}
	defer unix.Close(home)
	l.name = name
	err = netns.Do(namespace, home, func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return fault.New(fault.Config, "leave detectConflict out below a plugin that asks for addresses first", "is not there yet: nobody can be asked for its addresses")
		}
		l.index, l.mac = i.Index, i.HardwareAddr
		l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err == nil && len(l.mac) != 6 {
		unix.Close(l.fd)
		err = fault.New(fault.Unsupported, "leave detectConflict out", "is no Ethernet interface: it has no neighbours to ask")
	}
	return l, err
}

func (l link) flags() (uint16, error) {
	r, err := unix.NewIfreq(l.name)
	if err == nil {
		err = unix.IoctlIfreq(l.fd, unix.SIOCGIFFLAGS, r)
	}
	if err != nil {
		return 0, err
	}
	return r.Uint16(), nil
}

func (l link) set(flags uint16) error {
	r, err := unix.NewIfreq(l.name)
	if err != nil {
		return err
	}
	r.SetUint16(flags)
	return unix.IoctlIfreq(l.fd, unix.SIOCSIFFLAGS, r)
}

// up sets the interface up and listens, to all groups: answers for IPv6 go to one. restore makes it as it was.
func (l link) up() (restore func() error, err error) {
	was, err := l.flags()
	if err != nil {
		return nil, err
	}
	restore = func() error { return nil }
	if was&unix.IFF_UP == 0 {
		if err := l.set(was | unix.IFF_UP); err != nil {
			return nil, err
		}
		restore = func() error { return l.set(was) }
	}
	all := unix.PacketMreq{Ifindex: int32(l.index), Type: unix.PACKET_MR_ALLMULTI}
	err = unix.Bind(l.fd, &unix.SockaddrLinklayer{Protocol: order(unix.ETH_P_ALL), Ifindex: l.index})
	if err = errors.Join(err, unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &all)); err != nil {
		return nil, errors.Join(err, restore())
	}
	return restore, nil
}

// ask sends the questions and reads, again and again, until somebody answers. What was asked without a carrier nobody has heard: it does not count.
func (l link) ask(ctx context.Context, addrs []netip.Addr) error {
	for asked, end := 0, time.Now().Add(carrier); asked < questions && (asked > 0 || time.Now().Before(end)); {
		flags, err := l.flags()
		if err != nil {
			return fmt.Errorf("interface %s: %w", l.name, err)
		}
		for _, addr := range addrs {
			err := unix.Send(l.fd, question(l.mac, addr), 0)
			if err != nil && !errors.Is(err, unix.ENOBUFS) { // no carrier yet
				return fmt.Errorf("interface %s: asking for %s: %w", l.name, addr, err)
			}
		}
		if flags&unix.IFF_RUNNING != 0 {
			asked++
		}
		if err := l.listen(ctx, addrs); err != nil {
			return err
		}
	}
	return nil
}

// listen reads what comes until the pause is over, and what has come by then: a busy machine may let us read only afterwards.
func (l link) listen(ctx context.Context, addrs []netip.Addr) error {
	end := time.Now().Add(pause)
	for late := 0; late < queued; {
		left := time.Until(end)
		heard, err := l.hear(left, addrs)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || left <= 0 && !heard {
			return err
		}
		if left <= 0 {
			late++
		}
	}
	return nil
}

// hear reads one frame, or none in that time.
func (l link) hear(wait time.Duration, addrs []netip.Addr) (heard bool, err error) {
	patience := unix.NsecToTimeval(max(wait, time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return false, err
	}
	buffer := make([]byte, 256)
	n, from, err := unix.Recvfrom(l.fd, buffer, 0)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", l.name, err)
	}
	if at, ok := from.(*unix.SockaddrLinklayer); ok && at.Pkttype == unix.PACKET_OUTGOING {
		return true, nil
	}
	for _, addr := range addrs {
		if mac, claimed := claim(buffer[:n], l.mac, addr); claimed {
			return true, fault.New(fault.Taken, "give another address, or find who has it: ip neigh, bridge fdb", "address %s: %s on the network of %s has it already", addr, mac, l.name)
		}
	}
	return true, nil
}

// order is a number in the network's order.
func order(n uint16) uint16 { return n<<8 | n>>8 }
