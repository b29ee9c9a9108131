package iptables

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// kernel answers which tables and chains there are. It never makes one, as naming a table to the tool would.
type kernel struct {
	filter *Filter
	conn   *nftconn.Conn
	own    bool              // the connection was opened for this look
	tables []*nftables.Table // of nf_tables
	names  map[bool][]byte   // the tables of ip_tables, of IPv4 and not
}

// look asks for the tables: one request, and two small files.
func (f *Filter) look() (*kernel, error) { return f.lookBy((*nftconn.Conn).ListTables) }

// lister lists the tables of nf_tables.
type lister func(*nftconn.Conn) ([]*nftables.Table, error)

func (f *Filter) lookBy(list lister) (*kernel, error) {
	open := f.options.Conn
	if open == nil {
		open = nftconn.Open
	}
	k := &kernel{filter: f, names: make(map[bool][]byte), own: f.options.Conn == nil}
	var err error
	if k.conn, err = open(); err == nil {
		k.tables, err = list(k.conn)
	}
	if absent(err) != nil {
		return nil, err
	}
	for is4, file := range map[bool]string{true: "/proc/thread-self/net/ip_tables_names", false: "/proc/thread-self/net/ip6_tables_names"} {
		names, err := procfile.Read(file)
		// Not to be read where the namespace is older than its user's mapping (unshare -Urn): nobody has made a table there either.
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return nil, err
		}
		k.names[is4] = names
	}
	return k, nil
}

func (k *kernel) close() {
	if k.own && k.conn != nil {
		k.conn.Close()
	}
}

// absent returns nil for an error that means that a thing, or all of nf_tables, is not there.
func absent(err error) error {
	for _, errno := range []unix.Errno{unix.ENOENT, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL} {
		if errors.Is(err, errno) {
			return nil
		}
	}
	return err
}

// table is one of nf_tables that iptables-nft uses.
func (f family) table(name string) *nftables.Table {
	if f.is4 {
		return &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
	}
	return &nftables.Table{Name: name, Family: nftables.TableFamilyIPv6}
}

// hasTable says whether the table is there.
func (k *kernel) hasTable(p place, name string) bool {
	if p.flavour == onNFT {
		return among(k.tables, p.table(name))
	}
	return slices.ContainsFunc(bytes.Fields(k.names[p.is4]), func(field []byte) bool { return string(field) == name })
}

func among(tables []*nftables.Table, wanted *nftables.Table) bool {
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == wanted.Name && t.Family == wanted.Family })
}

// has says whether any of the chains is there. Of nf_tables it asks for each by name, in constant time and without a tool; of ip_tables
// it must list all chains, where the table is there.
func (k *kernel) has(ctx context.Context, p place, table string, chains ...string) (bool, error) {
	if !k.hasTable(p, table) {
		return false, nil
	}
	if p.flavour == legacy {
		t, err := k.filter.find(ctx, p.family, legacy)
		if err != nil {
			return false, nil // without a tool nothing here could have made them
		}
		rules, err := t.read(ctx, table)
		return err == nil && slices.ContainsFunc(chains, rules.has), err
	}
	for _, chain := range chains {
		_, err := k.conn.ListChain(p.table(table), chain)
		if err == nil {
			return true, nil
		}
		if absent(err) != nil {
			return false, err
		}
	}
	return false, nil
}

// empty says whether a chain of nf_tables is known to have no rule. It spares a program.
func (k *kernel) empty(f family, table, chain string) bool {
	own := f.table(table)
	rules, err := k.conn.GetRules(own, &nftables.Chain{Name: chain, Table: own})
	return err == nil && len(rules) == 0
}

// everywhere returns the tools of all families and flavours in which the kernel has the table.
func (f *Filter) everywhere(ctx context.Context, table string) (tools []*tool, err error) {
	k, err := f.look()
	if err != nil {
		return nil, err
	}
	defer k.close()
	for _, p := range places() {
		if !k.hasTable(p, table) {
			continue
		}
		if t, err := f.find(ctx, p.family, p.flavour); err == nil { // without a tool nothing here could have made anything
			tools = append(tools, t)
		}
	}
	return tools, nil
}
