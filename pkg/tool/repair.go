package tool

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func repairCommand(bundle plugin.Bundle) *cobra.Command {
	var results, network string
	c := &cobra.Command{
		Use:   "repair",
		Short: "Make the rules of living containers again, after a flush of the packet filter",
		Long: "Goes through what the runtimes remember of their ADDs, and of each container that lives makes the published ports, masquerade and\n" +
			"guards that somebody swept away (nft flush ruleset, a restart of nftables or firewalld). What is there stays as it is, and traffic\n" +
			"is not interrupted. The status is 1 if something is still not as it was made; each difference is named.",
		Example: "  trestle repair\n  trestle repair --network front",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return repair(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), bundle, results, network)
		},
	}
	c.Flags().StringVar(&results, "results", cache.Dir, "where the runtimes keep their results")
	c.Flags().StringVar(&network, "network", "", "of this network alone")
	return c
}

// repair asks the plugins of every cached attachment. One that resists does not keep the others from being mended.
func repair(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle, results, network string) error {
	host, err := observe.Read(ctx, observe.Options{Results: results})
	if err != nil {
		return err
	}
	entries, unread := cache.Read(results)
	if unread != nil {
		fmt.Fprintln(complaints, unread)
	}
	m := mending{bundle: bundle, host: host, out: out, complaints: complaints}
	for _, e := range entries {
		if network == "" || e.Network == network {
			m.mend(ctx, e)
		}
	}
	fmt.Fprintf(out, "%d mended, %d were whole, %d are gone (see trestle gc)\n", m.mended, m.whole, m.gone)
	if m.bad > 0 || unread != nil {
		return fault.New(fault.Drift, "delete those containers and add them again", "%d attachments are not as they were made; unread results: %v",
			m.bad, unread != nil)
	}
	return nil
}

// mending is a repair at work.
type mending struct {
	bundle                   plugin.Bundle
	host                     *observe.Host
	out, complaints          io.Writer
	whole, mended, gone, bad int
}

func (m *mending) mend(ctx context.Context, e cache.Entry) {
	name := e.Network + "/" + e.ContainerID + "/" + e.IfName
	if a := m.host.Attachment(name); a != nil && a.Origin == observe.Reference && a.State == observe.Whole {
		m.whole++ // the reference's rules are there, and a DEL of ours finds them
		return
	}
	made, err := repairOne(ctx, m.bundle, e)
	for _, line := range made {
		fmt.Fprintf(m.out, "%s: %s\n", name, line)
	}
	switch {
	case fault.Code(err) == fault.Namespace:
		m.gone++
	case err != nil:
		m.bad++
		fmt.Fprintf(m.complaints, "%s: %v\n", name, err)
	case len(made) > 0:
		m.mended++
	default:
		m.whole++
	}
}

func repairOne(ctx context.Context, bundle plugin.Bundle, e cache.Entry) (made []string, err error) {
	r, err := requestFor(e, bundle)
	if err != nil {
		return nil, err
	}
	return r.call(ctx, bundle, "REPAIR")
}
