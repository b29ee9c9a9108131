package peer

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"
)

// The kernel of a test need not speak SCTP. Here the beginning of an association is played on raw sockets: an INIT, and the INIT ACK that
// answers it (RFC 9260, section 5.1). Whoever translates addresses on the way sees a true SCTP packet.

// Types of chunks, RFC 9260, section 3.2.
const (
	initChunk    = 1
	initAckChunk = 2
)

// The fixed parts of a packet, bytes.
const (
	sctpHeader  = 12
	chunkHeader = 4
	initBody    = 16
)

// association is what the packets of this file tell.
type association struct {
	from, to uint16 // ports
	kind     byte
	tag      uint32 // of the header
	initTag  uint32
	text     string // in a parameter after the chunk's fixed part
}

func (a association) marshal() []byte {
	for len(a.text)%4 != 0 {
		a.text += " "
	}
	length := uint16(chunkHeader + initBody + chunkHeader + len(a.text))
	b := binary.BigEndian.AppendUint16(nil, a.from)
	b = binary.BigEndian.AppendUint16(b, a.to)
	b = binary.BigEndian.AppendUint32(b, a.tag)
	b = append(b, 0, 0, 0, 0, a.kind, 0)
	b = binary.BigEndian.AppendUint16(b, length)
	b = binary.BigEndian.AppendUint32(b, a.initTag)
	b = append(b, 0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1) // window, streams out and in, first number
	b = append(b, 0xc0, 0xff)                            // a parameter to be skipped and not reported
	b = binary.BigEndian.AppendUint16(b, uint16(chunkHeader+len(a.text)))
	b = append(b, a.text...)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func parseAssociation(b []byte) (a association, ok bool) {
	const fixed = sctpHeader + chunkHeader + initBody
	if len(b) < fixed+chunkHeader {
		return a, false
	}
	a.from, a.to = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	a.tag, a.kind, a.initTag = binary.BigEndian.Uint32(b[4:]), b[sctpHeader], binary.BigEndian.Uint32(b[sctpHeader+chunkHeader:])
	a.text = string(b[fixed+chunkHeader:])
	return a, true
}

// openRaw opens a socket that sees all SCTP packets of its namespace, without their IP headers.
func openRaw(is4 bool) (net.PacketConn, error) {
	if is4 {
		return net.ListenPacket("ip4:132", "0.0.0.0")
	}
	return net.ListenPacket("ip6:132", "::")
}

func sendAssociation(conn net.PacketConn, to netip.Addr, a association) error {
	_, err := conn.WriteTo(a.marshal(), &net.IPAddr{IP: to.AsSlice()})
	return err
}

// receiveAssociation returns the next packet; one that is none of ours is of kind 0.
func receiveAssociation(conn net.PacketConn) (from netip.Addr, a association, err error) {
	buffer := make([]byte, 1500)
	n, sender, err := conn.ReadFrom(buffer)
	if err != nil {
		return from, a, err
	}
	from, _ = netip.AddrFromSlice(sender.(*net.IPAddr).IP)
	a, _ = parseAssociation(buffer[:n])
	return from.Unmap(), a, nil
}

// serveAssociations answers each INIT to the port with an INIT ACK that tells whom it sees.
func serveAssociations(name string, at netip.AddrPort) (io.Closer, error) {
	conn, err := openRaw(at.Addr().Is4())
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			from, a, err := receiveAssociation(conn)
			if err != nil {
				return
			}
			if a.kind == initChunk && a.to == at.Port() {
				text := answer(name, netip.AddrPortFrom(from, a.from).String())
				_ = sendAssociation(conn, from, association{from: a.to, to: a.from, kind: initAckChunk, tag: a.initTag, initTag: 1, text: text})
			}
		}
	}()
	return conn, nil
}

// askAssociation sends an INIT and returns what the INIT ACK tells.
func askAssociation(to netip.AddrPort, patience time.Duration) (string, error) {
	conn, err := openRaw(to.Addr().Is4())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	tag := rand.Uint32() | 1
	own := uint16(20000 + rand.IntN(40000))
	if err := sendAssociation(conn, to.Addr(), association{from: own, to: to.Port(), kind: initChunk, initTag: tag}); err != nil {
		return "", err
	}
	for {
		from, a, err := receiveAssociation(conn)
		if err != nil {
			return "", err
		}
		if a.kind == initAckChunk && a.to == own && a.tag == tag && from == to.Addr() && a.from == to.Port() {
			return strings.TrimRight(a.text, " "), nil
		}
	}
}
