package packet

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// How often it is asked who has an address, and how long is waited for an answer each time.
const (
	questions = 3
	patience  = 300 * time.Millisecond
)

// The parts of a question and an answer of ARP about IPv4 on Ethernet, RFC 826.
const (
	arpRequest, arpReply                = 1, 2
	arpOperation, arpSender, arpAddress = 6, 8, 14
	arpSize                             = 28
)

// Seek asks the link who has the address, in the name of from, and returns the Ethernet address of who answers; nil if nobody does.
func (s *Socket) Seek(ctx context.Context, from, addr netip.Addr) net.HardwareAddr {
	question := []byte{0, 1, 8, 0, 6, 4, 0, arpRequest}
	for _, part := range [][]byte{s.own, from.AsSlice(), make([]byte, 6), addr.AsSlice()} {
		question = append(question, part...)
	}
	for range questions {
		if err := s.send(unix.ETH_P_ARP, everybody, question); err != nil || ctx.Err() != nil {
			return nil
		}
		if mac := s.answer(ctx, addr); mac != nil {
			return mac
		}
	}
	return nil
}

func (s *Socket) answer(ctx context.Context, addr netip.Addr) (mac net.HardwareAddr) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	_ = s.receive(ctx, unix.ETH_P_ARP, func(b []byte, _ net.HardwareAddr) bool { // who does not answer has no Ethernet address
		if len(b) < arpSize || !bytes.Equal(b[arpAddress:arpAddress+4], addr.AsSlice()) {
			return false
		}
		mac = append(mac, b[arpSender:arpAddress]...)
		return true
	})
	return mac
}
