package iptables

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// exists asks the kernel whether any of the chains is there. Of tables of nf_tables it asks for each by name, in constant time and
// without a tool; of the legacy ones it knows which there are, and only of one that is there it lists the chains.
func exists(ctx context.Context, f family, kind flavour, table string, chains ...string) (bool, error) {
	if kind == onNFT {
		return existsNFT(f, table, chains)
	}
	there, err := legacyTable(f, table)
	if err != nil || !there {
		return false, err
	}
	t, err := find(ctx, f, legacy)
	if err != nil {
		return false, nil // nothing here could have made them
	}
	rules, err := t.read(ctx, table)
	return err == nil && slices.ContainsFunc(chains, rules.has), err
}

func existsNFT(f family, table string, chains []string) (bool, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return false, absent(err)
	}
	defer conn.CloseLasting()
	for _, chain := range chains {
		_, err := conn.ListChain(f.table(table), chain)
		if err == nil {
			return true, nil
		}
		if absent(err) != nil {
			return false, err
		}
	}
	return false, nil
}

// table is one of nf_tables that iptables-nft uses.
func (f family) table(name string) *nftables.Table {
	if f.is4 {
		return &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
	}
	return &nftables.Table{Name: name, Family: nftables.TableFamilyIPv6}
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

// legacyTable says whether the kernel has a table of ip_tables. Naming one to the tool would make it.
func legacyTable(f family, table string) (bool, error) {
	file := "/proc/net/ip_tables_names"
	if !f.is4 {
		file = "/proc/net/ip6_tables_names"
	}
	names, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(bytes.Fields(names), func(name []byte) bool { return string(name) == table }), err
}

// has is exists for a tool's own flavour.
func (t *tool) has(ctx context.Context, table string, chains ...string) (bool, error) {
	return exists(ctx, t.family, t.flavour, table, chains...)
}

// everywhere returns the tools of all families and flavours in which the kernel has the table.
func everywhere(ctx context.Context, table string) (tools []*tool, err error) {
	for _, f := range families() {
		for _, kind := range []flavour{onNFT, legacy} {
			there, err := hasTable(f, kind, table)
			if err != nil {
				return nil, err
			}
			if !there {
				continue
			}
			if t, err := find(ctx, f, kind); err == nil { // without a tool nothing here could have made anything
				tools = append(tools, t)
			}
		}
	}
	return tools, nil
}

func hasTable(f family, kind flavour, table string) (bool, error) {
	if kind == legacy {
		return legacyTable(f, table)
	}
	conn, err := nftables.New()
	if err != nil {
		return false, absent(err)
	}
	_, err = conn.ListTableOfFamily(table, f.table(table).Family)
	if err != nil {
		return false, absent(err)
	}
	return true, nil
}
