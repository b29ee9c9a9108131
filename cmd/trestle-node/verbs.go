package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/cmd/trestle-node/network"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/cmd/trestle-node/reach"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// ttl is for how long a host that is silent is taken to live; see etcd.Store.Alive for what hangs on it.
const ttl = 20 * time.Second

func initCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Define the pool as the file says, or change it: CIDRs at the end, frozen", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, s, err := store(*file)
			if err != nil {
				return err
			}
			if conf.pool == nil {
				return fault.New(fault.Config, `as in {"cidrs": ["10.64.0.0/12"], "blockSize": {"ipv4": 26}, "shape": "routed"}`, "pool: %s says nothing of it", *file)
			}
			if err := apart(c.Context(), conf, s); err != nil {
				return err
			}
			if err := agent.Define(c.Context(), s, *conf.pool); err != nil {
				return err
			}
			fmt.Printf("pool %s: %d IPv4 and %d IPv6 blocks\n", conf.network, conf.pool.Len(4), conf.pool.Len(6))
			return nil
		},
	}
}

// apart holds that no other network has what the pool is to have. Who may read this network's keys alone does not hear of others.
func apart(ctx context.Context, conf config, s *etcd.Store) error {
	all, err := s.Pools(ctx)
	if err != nil && fault.Code(err) == fault.Config {
		return nil // what else that may be is said of the definition, in a moment
	}
	if err != nil {
		return err
	}
	return agent.Apart(conf.network, *conf.pool, all)
}

func claimCommand(file *string) *cobra.Command {
	c := &cobra.Command{Use: "claim", Short: "Get what this host needs: its blocks open after a reboot, and a spare one", Args: cobra.NoArgs}
	more := c.Flags().Bool("more", false, "get one more block of each family, needed or not")
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, h, err := joined(c.Context(), *file, false)
		if err != nil {
			return err
		}
		used, err := h.Ledger.Usage()
		if err != nil {
			return err
		}
		families := agent.WishesOf(h.Ledger.Content, used, conf.limits(), time.Now()).Claim
		if *more {
			families = nil
			for _, f := range pool.Families {
				if h.Ledger.Pool.Len(f) > 0 {
					families = append(families, f)
				}
			}
		}
		for _, f := range families {
			if _, err := h.Claim(c.Context(), f); err != nil {
				return err
			}
		}
		printBlocks(h)
		return nil
	}
	return c
}

// joined is the host with all that was left open brought to its end.
func joined(ctx context.Context, file string, all bool) (config, *agent.Host, error) {
	conf, h, err := host(ctx, file)
	if err == nil {
		err = h.Join(ctx, all)
	}
	if err == nil {
		err = h.Settle(ctx)
	}
	return conf, h, err
}

// printBlocks prints what the host has.
func printBlocks(h *agent.Host) {
	for _, b := range h.Ledger.State.Blocks {
		prefix, _ := h.Ledger.Pool.Prefix(b.ID)
		fmt.Printf("%s %s %s\n", b.ID, prefix, b.Phase)
	}
}

func releaseCommand(file *string) *cobra.Command {
	c := &cobra.Command{Use: "release [BLOCK...]", Short: "Give blocks back out of which no container has an address"}
	every := c.Flags().Bool("all", false, "all of this host's")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *every != (len(args) == 0) {
			return fault.New(fault.Config, "name blocks as list does, or say --all", "release: which blocks")
		}
		ids := make([]pool.ID, len(args))
		for i, arg := range args {
			var err error
			if ids[i], err = pool.ParseID(arg); err != nil {
				return fault.New(fault.Config, "trestle-node list names them", "release: %w", err)
			}
		}
		_, h, err := host(c.Context(), *file)
		if err != nil {
			return err
		}
		if err := h.Join(c.Context(), *every); err != nil {
			return err
		}
		if *every {
			for _, b := range h.Ledger.State.Blocks {
				ids = append(ids, b.ID)
			}
		}
		return release(c.Context(), h, ids)
	}
	return c
}

func release(ctx context.Context, h *agent.Host, ids []pool.ID) error {
	var errs []error
	for _, id := range ids {
		if h.Ledger.State.Block(id).Phase == 0 {
			errs = append(errs, fault.New(fault.Config, "trestle-node list says whose it is", "block %s: is not this host's", id))
			continue
		}
		switch done, err := h.Release(ctx, id); {
		case err != nil:
			errs = append(errs, err)
		case !done:
			errs = append(errs, fault.New(fault.Taken, "remove its containers first; trestle ls names them", "block %s: containers have addresses of it", id))
		default:
			fmt.Printf("%s given back\n", id)
		}
	}
	return fault.Join(errs...)
}

func reconcileCommand(file *string) *cobra.Command {
	c := &cobra.Command{Use: "reconcile", Short: "Compare what this host has with the store, and bring to an end what was left open", Args: cobra.NoArgs}
	restored := c.Flags().Bool("restored", false, "a backup of etcd was restored, and the pool is frozen: say again what this host has")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !*restored {
			_, h, err := joined(c.Context(), *file, true)
			if err == nil {
				printBlocks(h)
			}
			return err
		}
		_, h, err := host(c.Context(), *file)
		if err != nil {
			return err
		}
		lost, err := h.Restored(c.Context())
		if err != nil {
			return err
		}
		printBlocks(h)
		if len(lost) > 0 {
			return fault.New(fault.Taken, "end the containers that have addresses of them: trestle ls", "blocks %v: are others' since the restore", lost)
		}
		return nil
	}
	return c
}

func forgetCommand(file *string) *cobra.Command {
	c := &cobra.Command{Use: "forget NODE", Short: "Say that a machine is down for good, and free its blocks", Args: cobra.ExactArgs(1)}
	c.Long = "Says that the machine of that name does not run, and frees its blocks. Nothing can check that: one that runs after all goes on using its addresses\n" +
		"while others get them. If it may come back by itself meanwhile, name the boot that has ended, as list shows it."
	boot := c.Flags().String("boot", "", "the boot that has ended; nothing is done where the record has another")
	c.RunE = func(c *cobra.Command, args []string) error {
		_, s, err := store(*file)
		if err != nil {
			return err
		}
		freed, err := agent.Forget(c.Context(), s, args[0], *boot)
		for _, id := range freed {
			fmt.Printf("%s freed\n", id)
		}
		return err
	}
	return c
}

func runCommand(file *string) *cobra.Command {
	c := &cobra.Command{Use: "run", Short: "Keep a block in hand, give back what is idle, until told to stop; which changes nothing", Args: cobra.NoArgs}
	source := c.Flags().String("source", "", "where blocks come from, etcd or kubernetes; without it the file says so")
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := readConfig(*file, *source)
		if err != nil {
			return err
		}
		if conf.source == kubernetesSource {
			return runMember(c.Context(), conf)
		}
		return runAgent(c.Context(), conf)
	}
	return c
}

// runAgent is the agent of a host that shares a pool through etcd.
func runAgent(ctx context.Context, conf config) error {
	s, err := etcd.Dial(conf.store)
	if err != nil {
		return err
	}
	l, err := open(ctx, conf)
	if err != nil {
		return err
	}
	parts := []string{agent.Blocks}
	if conf.reach.Mode != reach.None {
		parts = append(parts, agent.Ways)
	}
	seen, err := begin(ctx, conf, parts)
	if err != nil {
		return err
	}
	several := quietly(func(err error) { seen.Failed("redirects", err) })
	a := &agent.Agent{Host: agent.Host{Ledger: l, Vacate: reach.Vacate, Several: several}, Store: s, Limits: conf.limits(), TTL: ttl, Life: seen}
	mtu := agent.WholeMTU
	if conf.reach.Mode != reach.None {
		if a.Reach, mtu, err = conf.openReach(ctx, seen, conf.via); err != nil {
			return err
		}
	}
	a.Ready = func(d pool.Definition) error { return conf.publish(ctx, d, mtu, seen) }
	a.Beside = []string{conf.member.network.Plugins}
	return a.Run(ctx)
}

// publish writes the network's list for the runtime: to what of the pool there is nothing is masqueraded. Where the operator has written it the plugins are looked at.
func (c config) publish(ctx context.Context, d pool.Definition, mtu agent.MTU, seen *life.Life) error {
	n := c.member.network
	if n.Conflist == "" {
		return n.Ready(ctx)
	}
	left, err := mtu()
	if err != nil {
		return err
	}
	n.Ranges, n.Exclude = c.places.Ranges, d.CIDRs
	changed, err := n.Put(ctx, network.Host{Node: c.node, CIDRs: d.CIDRs, MTU: left})
	if changed {
		seen.Did("the runtime has the network's list", "file", n.Conflist)
	}
	return err
}

// phaseOf is what this host makes of a block, for list.
func phaseOf(s protocol.State, id pool.ID) string {
	if b := s.Block(id); b.Phase != 0 {
		return b.Phase.String()
	}
	return ""
}
