package ruleset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Read reads the ruleset of the calling thread's network namespace. What cannot be read is among the gaps; an error means that nothing
// could be, or that ctx ended.
func Read(ctx context.Context) (*Ruleset, error) {
	r := &Ruleset{}
	if err := r.readTables(ctx); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("nf_tables: %w", err)
		}
		r.Gaps = append(r.Gaps, fmt.Sprintf("nf_tables: %v", err))
	}
	for _, table := range r.Tables {
		table.compat()
	}
	r.readLegacy(ctx)
	return r, ctx.Err()
}

// kernel is a socket of nfnetlink, for dumps. The library google/nftables is not used for them: it leaves out the expressions that it does
// not know, so that a rule would look as if it asked less than it does, and the verdicts in maps.
type kernel struct{ *netlink.Conn }

// tries bounds how often a ruleset is read that changes while it is.
const tries = 5

func (r *Ruleset) readTables(ctx context.Context) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			return nil // a kernel without nfnetlink filters nothing by nf_tables
		}
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	k := kernel{conn}
	for try := 1; ; try++ {
		before, err := k.generation()
		if err != nil {
			return err
		}
		tables, err := k.tables()
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINTR) { // gone between two dumps
			return err
		}
		after, genErr := k.generation()
		if err == nil && genErr == nil && before == after {
			r.Tables = tables
			return nil
		}
		if try == tries {
			r.Tables = tables
			return fmt.Errorf("the ruleset changed while it was read, %d times", tries)
		}
	}
}

// generation returns the number that each change of the ruleset raises; 0 where nf_tables has never been used or is not there.
func (k kernel) generation() (uint32, error) {
	m := netlink.Message{Header: netlink.Header{Type: kind16(unix.NFT_MSG_GETGEN), Flags: netlink.Request}, Data: header(unix.AF_UNSPEC)}
	answers, err := k.Execute(m)
	if err != nil || len(answers) == 0 {
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) { // nf_tables is not in the kernel
			return 0, nil
		}
		return 0, err
	}
	attrs, err := attributes(answers[0].Data[4:])
	return attrs.number(unix.NFTA_GEN_ID), err
}

// header is struct nfgenmsg.
func header(family byte) []byte { return []byte{family, unix.NFNETLINK_V0, 0, 0} }

func kind16(message int) netlink.HeaderType {
	return netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | message)
}

// dump asks for all objects of one kind, and hands each to see with its family.
func (k kernel) dump(message int, see func(family byte, a attrs) error, filter ...netlink.Attribute) error {
	family := byte(unix.AF_UNSPEC)
	if len(filter) > 0 && filter[0].Type == 0 { // the family travels in the header
		family, filter = filter[0].Data[0], filter[1:]
	}
	data, err := netlink.MarshalAttributes(filter)
	if err != nil {
		return err
	}
	answers, err := k.Execute(netlink.Message{
		Header: netlink.Header{Type: kind16(message), Flags: netlink.Request | netlink.Dump}, Data: append(header(family), data...),
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // not in the kernel
	}
	if err != nil {
		return err
	}
	for _, answer := range answers {
		a, err := attributes(answer.Data[4:])
		if err != nil {
			return err
		}
		if err := see(answer.Data[0], a); err != nil {
			return err
		}
	}
	return nil
}

// attrs are netlink attributes by number, as bytes. Lists have attributes of one number and are read by each.
type attrs map[uint16][]byte

func attributes(data []byte) (attrs, error) {
	a := make(attrs)
	err := each(data, func(number uint16, value []byte) error { a[number] = value; return nil })
	return a, err
}

func each(data []byte, f func(number uint16, value []byte) error) error {
	d, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return err
	}
	for d.Next() {
		if err := f(d.Type(), d.Bytes()); err != nil {
			return err
		}
	}
	return d.Err()
}

func (a attrs) number(n uint16) uint32 {
	if len(a[n]) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a[n])
}

func (a attrs) long(n uint16) uint64 {
	if len(a[n]) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(a[n])
}

func (a attrs) text(n uint16) string { return strings.TrimRight(string(a[n]), "\x00") }

func (k kernel) tables() ([]*Table, error) {
	var tables []*Table
	find := func(family byte, name string) *Table {
		i := slices.IndexFunc(tables, func(t *Table) bool { return t.Name == name && t.Family == familyName(family) })
		if i < 0 {
			return nil // came after the dump of tables; the generation tells
		}
		return tables[i]
	}
	err := k.dump(unix.NFT_MSG_GETTABLE, func(family byte, a attrs) error {
		tables = append(tables, &Table{Family: familyName(family), Name: a.text(unix.NFTA_TABLE_NAME), Flavour: NFTables})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = k.dump(unix.NFT_MSG_GETCHAIN, func(family byte, a attrs) error {
		if t := find(family, a.text(unix.NFTA_CHAIN_TABLE)); t != nil {
			c, err := readChain(family, a)
			t.Chains = append(t.Chains, c)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := k.sets(find); err != nil {
		return nil, err
	}
	err = k.dump(unix.NFT_MSG_GETRULE, func(family byte, a attrs) error {
		return addRule(find(family, a.text(unix.NFTA_RULE_TABLE)), a)
	})
	return tables, err
}

func familyName(family byte) string {
	switch family {
	case unix.NFPROTO_INET:
		return "inet"
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_IPV6:
		return "ip6"
	case unix.NFPROTO_ARP:
		return "arp"
	case unix.NFPROTO_BRIDGE:
		return "bridge"
	case unix.NFPROTO_NETDEV:
		return "netdev"
	}
	return fmt.Sprintf("family-%d", family)
}
