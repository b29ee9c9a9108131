package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// watch marks the probe's packets in one namespace and hears which rules they meet. The mark is a rule in tables of its own, which belong to
// the socket that made them (NFT_TABLE_F_OWNER, Linux 5.12): the kernel removes them with it, however the process ends.
type watch struct {
	place  *Place
	tables *nftconn.Conn
	heard  *netlink.Conn
	name   string // of the tables
}

// first is the priority of the marking chains: before all that others have.
const first = -500

func watchPlace(p *Place, q *probe) (w *watch, err error) {
	w = &watch{place: p, name: fmt.Sprintf("trestle-trace-%d", os.Getpid())}
	err = p.do(func() (err error) {
		if w.heard, err = netlink.Dial(unix.NETLINK_NETFILTER, nil); err != nil {
			return err
		}
		if err = w.heard.JoinGroup(unix.NFNLGRP_NFTRACE); err != nil {
			return err
		}
		if w.tables, err = nftconn.Open(); err != nil {
			return err
		}
		return w.mark(q)
	})
	if err != nil {
		w.close()
		return nil, fmt.Errorf("%s: tracing: %w", p.Name, err)
	}
	return w, nil
}

// mark makes the table. One for bridges is added where the kernel has such tables.
func (w *watch) mark(q *probe) error {
	w.table(nftables.TableFamilyINet, q)
	if err := w.tables.Flush(); err != nil {
		return err
	}
	if w.place.rules.Bridged() {
		w.table(nftables.TableFamilyBridge, q)
		return w.tables.Flush()
	}
	return nil
}

func (w *watch) table(family nftables.TableFamily, q *probe) {
	t := w.tables.AddTable(&nftables.Table{Family: family, Name: w.name, Flags: nftables.TableFlagOwner})
	for name, hook := range map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput} {
		priority := nftables.ChainPriority(first)
		c := w.tables.AddChain(&nftables.Chain{Table: t, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &priority})
		offsets := []uint32{0, 2} // ports
		if q.protocol == unix.IPPROTO_ICMP || q.protocol == unix.IPPROTO_ICMPV6 {
			offsets = []uint32{4} // the identifier
		}
		for _, at := range offsets {
			w.tables.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: []expr.Any{
				&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{q.protocol}},
				&expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseTransportHeader, Offset: at, Len: 2},
				&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binary.BigEndian.AppendUint16(nil, q.mark)},
				&expr.Immediate{Register: unix.NFT_REG_1, Data: []byte{1}},
				&expr.Meta{Key: expr.MetaKeyNFTRACE, SourceRegister: true, Register: unix.NFT_REG_1},
			}})
		}
	}
}

// quiet ends listening when what the kernel has already said is heard.
func (w *watch) quiet() { _ = w.heard.SetReadDeadline(time.Now().Add(settle)) }

// settle is how long the kernel has to say the last it has to say. It speaks while it passes the packet, so all is said but for the queues between
// processors.
const settle = 20 * time.Millisecond

// close takes the tables away.
func (w *watch) close() {
	if w.tables != nil {
		w.tables.Close()
	}
	if w.heard != nil {
		w.heard.Close()
	}
}

// sighting is one thing that a packet met, as the kernel told it.
type sighting struct {
	place     *Place
	packet    uint32 // the kernel's number for it there
	met       ruleset.Met
	transport []byte // the beginning of its transport header, with the first sighting
	verdict   string // empty: it goes on
}

// listen hands over what is heard until the socket is closed.
func (w *watch) listen(sink chan<- sighting) {
	for {
		messages, err := w.heard.Receive()
		if err != nil {
			if errors.Is(err, unix.ENOBUFS) {
				continue
			}
			return
		}
		for _, m := range messages {
			if s, ok := w.read(m); ok {
				sink <- s
			}
		}
	}
}

func (w *watch) read(m netlink.Message) (s sighting, ok bool) {
	if m.Header.Type != netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE) || len(m.Data) < 4 {
		return s, false
	}
	d, err := netlink.NewAttributeDecoder(m.Data[4:])
	if err != nil {
		return s, false
	}
	d.ByteOrder = binary.BigEndian
	s.place = w.place
	var kind, policy uint32
	var table string
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_TRACE_TABLE:
			table = d.String()
		case unix.NFTA_TRACE_CHAIN:
			s.met.Chain = d.String()
		case unix.NFTA_TRACE_RULE_HANDLE:
			s.met.Handle = d.Uint64()
		case unix.NFTA_TRACE_TYPE:
			kind = d.Uint32()
		case unix.NFTA_TRACE_POLICY:
			policy = d.Uint32()
		case unix.NFTA_TRACE_ID:
			s.packet = d.Uint32()
		case unix.NFTA_TRACE_TRANSPORT_HEADER:
			s.transport = d.Bytes()
		case unix.NFTA_TRACE_VERDICT:
			s.verdict = verdict(d.Bytes())
		}
	}
	w.place.rules.Complete(&s.met, m.Data[0], table)
	return s.of(kind, policy), d.Err() == nil
}

// of says what a policy did, and nothing of the end of a chain.
func (s sighting) of(kind, policy uint32) sighting {
	switch {
	case kind == unix.NFT_TRACETYPE_POLICY && policy == 0: // NF_DROP
		s.met.Text, s.verdict = "policy drop", "drop"
	case kind != unix.NFT_TRACETYPE_RULE:
		s.met.Text, s.verdict = "", ""
	}
	return s
}

// verdict names those that end a packet's way.
func verdict(data []byte) string {
	d, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return ""
	}
	d.ByteOrder = binary.BigEndian
	for d.Next() {
		if d.Type() == unix.NFTA_VERDICT_CODE && d.Uint32() == 0 { // NF_DROP
			return "drop"
		}
	}
	return ""
}
