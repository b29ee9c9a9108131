package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	msgNew    = unix.NFNL_SUBSYS_CTNETLINK << 8   // IPCTNL_MSG_CT_NEW
	msgGet    = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET
	msgDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2 // IPCTNL_MSG_CT_DELETE
	msgStats  = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5 // IPCTNL_MSG_CT_GET_STATS

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaCounts     = 9 // of the original direction; of the reply it is 10
	ctaCountsBack = 10
	ctaID         = 12
	ctaZone       = 18
	ctaFilter     = 25

	ctaPackets = 1
	ctaBytes   = 2

	ctaTupleIP    = 1 // source is attribute 1 for IPv4 and 3 for IPv6, destination 2 and 4
	ctaTupleProto = 2
	ctaProtoNum   = 1
	ctaProtoSrc   = 2
	ctaProtoDst   = 3

	ctaStatsEntries = 1 // CTA_STATS_GLOBAL_ENTRIES

	ctaFilterOrigFlags = 1
	filterProtoNum     = 1 << 3
	filterDstPort      = 1 << 5
)

// flow is one entry of the table.
type flow struct {
	protocol        uint8
	original, reply tuple
	status          uint32
	name            []netlink.Attribute // what the kernel tells it from all others by, as it sent it
	id              uint32
	counts          [2]Count // of both directions, where the kernel counts (net.netfilter.nf_conntrack_acct)
}

// Count is how much has gone one way.
type Count struct{ Bytes, Packets uint64 }

// tuple is one direction of a flow.
type tuple struct{ source, destination netip.AddrPort }

// dump returns the flows of the group that were begun to one of the ports.
func (t *Table) dump(g group, byPort map[uint16][]firewall.Port) ([]flow, error) {
	answers, err := t.ask(g, byPort)
	return parseAll(answers, err, func(f flow) bool { return byPort[f.original.destination.Port()] != nil })
}

// parseAll reads what a dump answered, and keeps those that are wanted.
func parseAll(answers []netlink.Message, err error, wanted func(flow) bool) (list []flow, _ error) {
	if err != nil {
		return nil, fmt.Errorf("conntrack: dump: %w", err)
	}
	for _, m := range answers {
		f, err := parse(m.Data)
		if err != nil {
			return nil, fmt.Errorf("conntrack: flow: %w", err)
		}
		if wanted(f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// ask has the kernel send the flows of the group: those to the port where there is one alone; for several there is one dump all the same.
func (t *Table) ask(g group, byPort map[uint16][]firewall.Port) ([]netlink.Message, error) {
	flags := uint32(filterProtoNum)
	e := netlink.NewAttributeEncoder()
	e.Nested(ctaTupleOrig, func(e *netlink.AttributeEncoder) error {
		e.Nested(ctaTupleProto, func(e *netlink.AttributeEncoder) error {
			e.Uint8(ctaProtoNum, g.protocol)
			for port := range byPort {
				if len(byPort) == 1 {
					flags |= filterDstPort
					e.ByteOrder = binary.BigEndian
					e.Uint16(ctaProtoDst, port)
				}
			}
			return nil
		})
		return nil
	})
	e.Nested(ctaFilter, func(e *netlink.AttributeEncoder) error {
		e.Uint32(ctaFilterOrigFlags, flags)
		return nil
	})
	return t.execute(g.family, msgGet, netlink.Request|netlink.Dump, e)
}

// empty says whether the namespace has no flow at all, so that none need be looked for.
func (t *Table) empty() bool {
	n, err := t.entries()
	return err == nil && n == 0
}

// entries returns how many flows the namespace has. A dump walks the table that it shares with all others, however few are its own: that may take milliseconds.
func (t *Table) entries() (uint32, error) {
	answers, err := t.stats()
	if err != nil {
		return 0, err
	}
	for _, m := range answers {
		const header = 4 // struct nfgenmsg
		if len(m.Data) < header {
			continue
		}
		d, err := netlink.NewAttributeDecoder(m.Data[header:])
		if err != nil {
			return 0, err
		}
		for d.ByteOrder = binary.BigEndian; d.Next(); {
			if d.Type() == ctaStatsEntries {
				return d.Uint32(), d.Err()
			}
		}
	}
	return 0, errors.New("conntrack: the kernel does not say how many flows there are")
}

// stats asks for the figures of the namespace. The answer is marked as one of several, whose end never comes; the acknowledgement does.
func (t *Table) stats() ([]netlink.Message, error) {
	return t.execute(unix.AF_UNSPEC, msgStats, netlink.Request|netlink.Acknowledge, netlink.NewAttributeEncoder())
}

// delete removes one flow, and returns 1; 0 if it has gone by itself.
func (t *Table) delete(family uint8, f flow) (int, error) {
	e := netlink.NewAttributeEncoder()
	for _, a := range f.name {
		e.Bytes(a.Type, a.Data)
	}
	_, err := t.execute(family, msgDelete, netlink.Request|netlink.Acknowledge, e)
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("conntrack: delete: %w", err)
	}
	return 1, nil
}

// execute sends one message with the header of nfnetlink before the attributes.
func (t *Table) execute(family uint8, kind netlink.HeaderType, flags netlink.HeaderFlags, e *netlink.AttributeEncoder) ([]netlink.Message, error) {
	attributes, err := e.Encode()
	if err != nil {
		return nil, err
	}
	header := []byte{family, unix.NFNETLINK_V0, 0, 0}
	return t.conn.Execute(netlink.Message{Header: netlink.Header{Type: kind, Flags: flags}, Data: append(header, attributes...)})
}

func parse(data []byte) (f flow, err error) {
	const header = 4 // struct nfgenmsg
	if len(data) < header {
		return f, errors.New("too short")
	}
	d, err := netlink.NewAttributeDecoder(data[header:])
	if err != nil {
		return f, err
	}
	for d.Next() {
		switch d.Type() {
		case ctaTupleOrig:
			d.Nested(func(d *netlink.AttributeDecoder) error { return f.original.parse(d, &f.protocol) })
		case ctaTupleReply:
			d.Nested(func(d *netlink.AttributeDecoder) error { return f.reply.parse(d, &f.protocol) })
		case ctaCounts, ctaCountsBack:
			d.Nested(f.counts[d.Type()-ctaCounts].parse)
			continue
		case ctaStatus:
			f.status = binary.BigEndian.Uint32(append(d.Bytes(), 0, 0, 0, 0))
			continue
		case ctaID:
			f.id = binary.BigEndian.Uint32(append(d.Bytes(), 0, 0, 0, 0))
		case ctaZone:
		default:
			continue
		}
		if d.Type() != ctaTupleReply {
			f.name = append(f.name, netlink.Attribute{Type: d.Type() | d.TypeFlags(), Data: d.Bytes()})
		}
	}
	return f, d.Err()
}

// parse reads the counts of one direction.
func (c *Count) parse(d *netlink.AttributeDecoder) error {
	d.ByteOrder = binary.BigEndian
	for d.Next() {
		switch d.Type() {
		case ctaPackets:
			c.Packets = d.Uint64()
		case ctaBytes:
			c.Bytes = d.Uint64()
		}
	}
	return nil
}

// parse reads the addresses and ports of one direction, and the protocol that both share.
func (t *tuple) parse(d *netlink.AttributeDecoder, protocol *uint8) error {
	var addrs [2]netip.Addr
	var ports [2]uint16
	for d.Next() {
		switch d.Type() {
		case ctaTupleIP:
			d.Nested(func(d *netlink.AttributeDecoder) error {
				for d.Next() {
					addrs[(d.Type()+1)%2], _ = netip.AddrFromSlice(d.Bytes())
				}
				return nil
			})
		case ctaTupleProto:
			d.Nested(func(d *netlink.AttributeDecoder) error {
				for d.Next() {
					switch d.Type() {
					case ctaProtoNum:
						*protocol = d.Uint8()
					case ctaProtoSrc, ctaProtoDst:
						d.ByteOrder = binary.BigEndian
						ports[d.Type()-ctaProtoSrc] = d.Uint16()
					}
				}
				return nil
			})
		}
	}
	t.source, t.destination = netip.AddrPortFrom(addrs[0], ports[0]), netip.AddrPortFrom(addrs[1], ports[1])
	return nil
}
