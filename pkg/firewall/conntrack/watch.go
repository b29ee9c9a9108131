package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Flow is an entry of the table, for who counts.
type Flow struct {
	ID                uint32
	Protocol          uint8
	Client, To        netip.AddrPort // who began it, and whom it was begun to
	Server            netip.AddrPort // who answers
	Asked, Answered   Count          // nothing where the kernel does not count
	ended, translated bool
}

func (f flow) told(ended bool) Flow {
	return Flow{ID: f.id, Protocol: f.protocol, Client: f.original.source, To: f.original.destination, Server: f.reply.source,
		Asked: f.counts[0], Answered: f.counts[1], ended: ended, translated: f.reply.source != f.original.destination}
}

// Ended says of a flow that was heard of whether it has ended; else it has begun.
func (f Flow) Ended() bool { return f.ended }

// Translated says whether somebody else answers than it was begun to: a published port, a service.
func (f Flow) Translated() bool { return f.translated }

// Flows returns all flows of the table.
func (t *Table) Flows() ([]Flow, error) {
	answers, err := t.execute(unix.AF_UNSPEC, msgGet, netlink.Request|netlink.Dump, netlink.NewAttributeEncoder())
	if err != nil {
		return nil, fmt.Errorf("conntrack: dump: %w", err)
	}
	list := make([]Flow, 0, len(answers))
	for _, m := range answers {
		f, err := parse(m.Data)
		if err != nil {
			return nil, fmt.Errorf("conntrack: flow: %w", err)
		}
		list = append(list, f.told(false))
	}
	return list, nil
}

// Watch is told of flows by the kernel, when they begin and when they end. While nobody watches nothing is told, and nothing costs.
type Watch struct{ file *os.File }

// waiting is how much may wait to be read, in bytes: some ten thousand flows.
const waiting = 8 << 20

// Listen begins to watch, in the calling thread's network namespace.
func Listen() (*Watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("conntrack events: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, waiting) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, waiting)
	}
	const groups = 1<<(unix.NFNLGRP_CONNTRACK_NEW-1) | 1<<(unix.NFNLGRP_CONNTRACK_DESTROY-1)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fault.New(fault.Unsupported, "ask as root", "conntrack events: %w", err)
	}
	return &Watch{os.NewFile(uintptr(fd), "conntrack events")}, nil
}

// Close ends it, and Next with it.
func (w *Watch) Close() { w.file.Close() }

// Next waits for flows that have begun or ended. It says lost where more came than could wait; the error is that it was closed.
func (w *Watch) Next(buffer []byte) (list []Flow, lost bool, err error) {
	n, err := w.file.Read(buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	for text := buffer[:n]; len(text) >= unix.SizeofNlMsghdr; {
		length := int(binary.NativeEndian.Uint32(text))
		if length < unix.SizeofNlMsghdr || length > len(text) {
			break
		}
		kind := netlink.HeaderType(binary.NativeEndian.Uint16(text[4:]))
		if f, err := parse(text[unix.SizeofNlMsghdr:length]); err == nil && (kind == msgNew || kind == msgDelete) {
			list = append(list, f.told(kind == msgDelete))
		}
		text = text[min((length+3)&^3, len(text)):]
	}
	return list, false, nil
}
