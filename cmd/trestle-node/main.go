// Trestle-node shares the addresses of a pool among hosts: blocks go to hosts, addresses inside a block are host-local's. It is a program of its own, and a Go
// module of its own: no plugin links the client of a store.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/reach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		complain(err)
		os.Exit(1)
	}
}

// complain prints the error, and in a line of its own the remedy.
func complain(err error) {
	text := err.Error()
	if hint := fault.Hint(err); hint != "" {
		text += "\n" + hint
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(os.Stderr, "trestle-node: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// command is the command line.
func command() *cobra.Command {
	version, _ := plugin.Build()
	root := &cobra.Command{
		Use:           "trestle-node",
		Version:       version,
		Short:         "Share a pool of addresses among hosts, in blocks",
		Long:          "Gives this host blocks of a pool that it shares with others through etcd, or those that its cluster's API server says are its own. The plugins never wait for it: host-local hands out of what\nthe host has (its key rangesFrom). docs/cluster.md says when you need it, and what is safe by what.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	file := root.PersistentFlags().String("config", "/etc/cni/trestle-node.json", "the network's file")
	root.AddCommand(initCommand(file), claimCommand(file), releaseCommand(file), listCommand(file), reconcileCommand(file), forgetCommand(file), runCommand(file))
	return root
}

// store reads the file and makes a client.
func store(file string) (config, *etcd.Store, error) {
	c, err := readConfig(file, "")
	if err == nil && c.source != etcdSource {
		err = fault.New(fault.Unsupported, "the cluster's API server says which Node has which CIDR; here there is only run", "source: %s: this command is etcd's", c.source)
	}
	if err != nil {
		return c, nil, err
	}
	s, err := etcd.Dial(c.store)
	return c, s, err
}

// host opens this host's ledger, too.
func host(ctx context.Context, file string) (config, *agent.Host, error) {
	c, s, err := store(file)
	if err != nil {
		return c, nil, err
	}
	l, err := open(ctx, c)
	return c, &agent.Host{Store: s, Ledger: l, MaxBlocks: c.maxBlocks, Vacate: reach.Vacate, Several: quietly(complain)}, err
}

// quietly has this host send no redirects, and says why where it cannot: all else goes on.
func quietly(say func(error)) func(cidrs []netip.Prefix) {
	return func(cidrs []netip.Prefix) {
		if err := reach.NoRedirects(cidrs); err != nil {
			say(err)
		}
	}
}

func open(ctx context.Context, c config) (*ledger.Ledger, error) {
	l, err := ledger.Open(ctx, c.places, c.node)
	if err != nil {
		return nil, err
	}
	if l.Damaged != nil {
		complain(fmt.Errorf("%w; it is put aside, and what the store has under this host's name is opened anew", l.Damaged))
	}
	return l, l.Reached(ctx, c.via)
}

func (c config) limits() agent.Limits {
	return agent.Limits{Spare: c.spare, MaxBlocks: c.maxBlocks, Rest: c.rest}
}
