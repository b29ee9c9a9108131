package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
)

// listing is what list --json prints. Members are added, and never change their meaning.
type listing struct {
	Network string          `json:"network"`
	Node    string          `json:"node"` // this host
	Pool    pool.Definition `json:"pool"`
	Nodes   []listedNode    `json:"nodes"`
	Blocks  []listedBlock   `json:"blocks"`
}

type listedNode struct {
	Name   string       `json:"name"`
	State  string       `json:"state"` // alive, silent, dead, unread
	Boot   string       `json:"boot"`
	Via    []netip.Addr `json:"via,omitempty"`
	Blocks int          `json:"blocks"`
}

type listedBlock struct {
	ID     pool.ID      `json:"id"`
	Prefix netip.Prefix `json:"prefix"`
	Node   string       `json:"node"`
	Epoch  int64        `json:"epoch"`
	Here   string       `json:"here,omitempty"` // what this host makes of it: open, closed, wanted
}

func listCommand(file *string) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "Whose blocks are which, and which hosts there are", Args: cobra.NoArgs}
	asJSON := c.Flags().Bool("json", false, "for programs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, s, err := store(*file)
		if err != nil {
			return err
		}
		found, err := look(c.Context(), conf, s)
		if err != nil {
			return err
		}
		if *asJSON {
			out := json.NewEncoder(os.Stdout)
			out.SetIndent("", "  ")
			return out.Encode(found)
		}
		return found.print()
	}
	return c
}

// look reads the store, and the ledger without its lock: list is for looking on.
func look(ctx context.Context, conf config, s *etcd.Store) (listing, error) {
	found := listing{Network: conf.network, Node: conf.node, Nodes: []listedNode{}, Blocks: []listedBlock{}}
	own, err := ledger.Read(conf.places)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		complain(err)
	}
	reply, err := s.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{protocol.PoolKey()}, All: true})
	if err != nil {
		return found, err
	}
	records, alive, err := s.Nodes(ctx)
	if err != nil {
		return found, err
	}
	definition, _ := reply.Of(protocol.PoolKey())
	if definition.Revision == 0 {
		return found, fault.New(fault.NoService, "trestle-node init, once for all hosts", "pool: network %s: is not defined", conf.network)
	}
	found.Pool = definition.Pool
	count := make(map[string]int)
	for _, e := range reply.Entries {
		if e.Key.Kind != protocol.OfBlock {
			continue
		}
		prefix, _ := found.Pool.Prefix(e.Key.Block)
		count[e.Owner.Node]++
		found.Blocks = append(found.Blocks, listedBlock{e.Key.Block, prefix, e.Owner.Node, e.Revision, phaseOf(own.State, e.Key.Block)})
	}
	for _, e := range records {
		found.Nodes = append(found.Nodes, listedNode{e.Key.Node, lives(e, alive[e.Key.Node]), e.Record.Boot, e.Record.Via, count[e.Key.Node]})
	}
	return found, nil
}

// prefixOf is the block's; one that somebody has written down beside the pool has none.
func prefixOf(b listedBlock) string {
	if !b.Prefix.IsValid() {
		return "none of the pool's"
	}
	return b.Prefix.String()
}

// lives is what is known of a host's life.
func lives(e protocol.Entry, heard string) string {
	switch {
	case e.Unread != nil:
		return "unread"
	case e.Record.Dead:
		return "dead"
	case heard == e.Record.Boot:
		return "alive"
	}
	return "silent"
}

func (l listing) print() error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "BLOCK\tPREFIX\tNODE\tEPOCH\tHERE")
	for _, b := range l.Blocks {
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%s\n", b.ID, prefixOf(b), cmp.Or(b.Node, "?"), b.Epoch, b.Here)
	}
	fmt.Fprintln(out, "\nNODE\tSTATE\tBLOCKS\tBOOT")
	for _, n := range l.Nodes {
		fmt.Fprintf(out, "%s\t%s\t%d\t%s\n", n.Name, n.State, n.Blocks, draw.Clean(n.Boot))
	}
	return out.Flush()
}
