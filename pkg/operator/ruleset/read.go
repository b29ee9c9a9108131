package ruleset

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nlsocket"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
)

// Read reads the ruleset of the calling thread's network namespace, as far as the budget allows, which is of this thread. What cannot be read is among
// the gaps; an error means that nothing could be, or that ctx ended.
func Read(ctx context.Context, left *budget.Budget) (*Ruleset, error) {
	r := &Ruleset{}
	if err := r.readTables(ctx, left); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("nf_tables: %w", err)
		}
		r.Gaps = append(r.Gaps, fmt.Sprintf("nf_tables: %v", err))
	}
	for _, table := range r.Tables {
		table.compat()
	}
	r.readLegacy(ctx, left)
	return r, ctx.Err()
}

// kernel is a socket of nfnetlink, for dumps. The library google/nftables is not used for them: it leaves out the expressions that it does
// not know, so that a rule would look as if it asked less than it does, and the verdicts in maps.
type kernel struct {
	*nlsocket.Conn
	*budget.Budget
}

// tries bounds how often a ruleset is read that changes while it is.
const tries = 5

func (r *Ruleset) readTables(ctx context.Context, left *budget.Budget) error {
	conn, err := nlsocket.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			return nil // a kernel without nfnetlink filters nothing by nf_tables
		}
		return err
	}
	defer conn.Close()
	k := kernel{conn, left}
	for try := 1; ctx.Err() == nil; try++ {
		before, err := k.generation()
		if err != nil {
			return err
		}
		tables, err := k.tables()
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINTR) { // gone between two dumps
			return err
		}
		after, genErr := k.generation()
		if genErr != nil {
			return genErr
		}
		if err == nil && before == after {
			r.Tables = tables
			return nil
		}
		if try == tries {
			r.Tables = tables
			return fmt.Errorf("the ruleset changed while it was read, %d times", tries)
		}
	}
	return ctx.Err()
}

// ask sends one request and returns the bodies of the answers.
func (k kernel) ask(message int, flags uint16, body []byte) (answers [][]byte, err error) {
	request := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	request = append(request, body...)
	sequence := k.Next()
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_NFTABLES<<8|uint16(message))
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(request[8:], sequence)
	var over error
	exchange := k.Exchange(request, func(m nlsocket.Message) {
		if over != nil {
			return
		}
		if over = k.Spend(len(m.Data)); over != nil { // also for what is of no use: the kernel had to make it
			k.Close() // it would go on to make the rest, which can take many times as long
			return
		}
		switch {
		case m.Sequence != sequence, m.Type == unix.NLMSG_DONE:
		case m.Type == unix.NLMSG_ERROR:
			if errno := m.Errno(); errno != 0 {
				err = errno
			}
		case m.Flags&unix.NLM_F_DUMP_INTR != 0:
			err = unix.EINTR
		case len(m.Data) >= len(header(0)):
			answers = append(answers, bytes.Clone(m.Data))
		}
	})
	if over != nil { // whatever else there was: it is not to be tried again
		return nil, over
	}
	return answers, errors.Join(exchange, err)
}

// generation returns the number that each change of the ruleset raises; 0 where nf_tables has never been used or is not there.
func (k kernel) generation() (uint32, error) {
	answers, err := k.ask(unix.NFT_MSG_GETGEN, 0, header(unix.AF_UNSPEC))
	if err != nil || len(answers) == 0 {
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) { // nf_tables is not in the kernel
			return 0, nil
		}
		return 0, err
	}
	attrs, err := attributes(answers[0][4:])
	return attrs.number(unix.NFTA_GEN_ID), err
}

// header is struct nfgenmsg.
func header(family byte) []byte { return []byte{family, unix.NFNETLINK_V0, 0, 0} }

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
	answers, err := k.ask(message, unix.NLM_F_DUMP, append(header(family), data...))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // not in the kernel
	}
	if err != nil {
		return err
	}
	for _, answer := range answers {
		a, err := attributes(answer[4:])
		if err == nil {
			err = k.Spend(0) // to take it apart needs more time than to get it
		}
		if err != nil {
			return err
		}
		if err := see(answer[0], a); err != nil {
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
	if err != nil || len(tables) == 0 { // most containers have none
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
		return bridgeFamily
	case unix.NFPROTO_NETDEV:
		return "netdev"
	}
	return fmt.Sprintf("family-%d", family)
}
