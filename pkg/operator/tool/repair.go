package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// repairing is what the command repair is asked for.
type repairing struct {
	results, network string
	json, stays      bool
	leaving          bool // what standard input names, which is how the watch asks
}

func repairCommand(bundle plugin.Bundle) *cobra.Command {
	var r repairing
	c := &cobra.Command{
		Use:   "repair",
		Short: "Make the rules of living containers again, after a flush of the packet filter",
		Long: "Goes through what the runtimes remember of their ADDs, and of each container that lives makes the published ports, masquerade and\n" +
			"guards that somebody swept away (nft flush ruleset, a restart of nftables or firewalld). What is there stays as it is, and traffic\n" +
			"is not interrupted. The status is 1 if something is still not as it was made; each difference is named.\n\n" +
			"With --watch it stays, waits for the word of the kernel and of firewalld, and makes again what went as soon as it went (trestle pause has it rest). Who\n" +
			"deletes the same rule or table three times in a minute, and nothing else, means it: then that is left alone, for longer each time. Of iptables-legacy\n" +
			"the kernel tells nobody.",
		Example: "  trestle repair\n  trestle repair --network front",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if r.stays {
				return r.watch(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), bundle)
			}
			ctx, err := r.context(c.Context(), c.InOrStdin())
			if err != nil {
				return err
			}
			return r.run(ctx, c.OutOrStdout(), c.ErrOrStderr(), bundle)
		},
	}
	resultsFlag(c, &r.results)
	networkFlag(c, &r.network)
	jsonFlag(c, &r.json)
	c.Flags().BoolVar(&r.stays, "watch", false, "stay, and do it whenever something is swept away")
	c.Flags().BoolVar(&r.leaving, "leaving", false, "leave as it is what the list of names on standard input has")
	_ = c.Flags().MarkHidden("leaving") // there is one of the name
	c.MarkFlagsMutuallyExclusive("watch", "json")
	c.MarkFlagsMutuallyExclusive("watch", "network")
	return c
}

// context is that in which the plugins are called.
func (r repairing) context(ctx context.Context, in io.Reader) (context.Context, error) {
	if !r.leaving {
		return ctx, nil
	}
	var names []string
	if err := json.NewDecoder(in).Decode(&names); err != nil {
		return nil, fault.New(fault.Config, "", "--leaving: standard input: %w", err)
	}
	if len(names) == 0 {
		return ctx, nil
	}
	return firewall.Leaving(ctx, func(what string) bool { return slices.Contains(names, what) }), nil
}

// run asks the plugins of every cached attachment. One that resists does not keep the others from being mended.
func (r repairing) run(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle) error {
	if !mayEnter() {
		return fault.New(fault.Internal, "run it as root", "repair: only root sees what is missing, and may make it")
	}
	host, err := observe.Read(ctx, observe.Options{Results: r.results, Check: checkBy(bundle)})
	if err == nil {
		err = knownNetwork(host, r.network)
	}
	if err != nil {
		return err
	}
	entries, unread := cache.Read(r.results)
	if unread != nil {
		complain(complaints, unread.Error())
	}
	entries = slices.DeleteFunc(entries, func(e cache.Entry) bool { return r.network != "" && e.Network != r.network })
	answer, count := repairAnswer{Attachments: []repaired{}}, make(map[fate]int)
	for i, o := range mendAll(ctx, bundle, host, entries) {
		a := host.Attachment(attachment(entries[i]))
		one := o.told(entries[i], a != nil && a.State == observe.Broken)
		answer.Attachments = append(answer.Attachments, one)
		count[one.Fate]++
	}
	if r.json {
		err = printJSON(out, answer)
	} else {
		answer.print(out, complaints, count)
	}
	switch {
	case err != nil:
		return err
	case count[fateBad] > 0:
		return fault.New(fault.Drift, "delete those containers and add them again", "%d attachments are not as they were made", count[fateBad])
	case unread != nil:
		return fault.New(fault.IO, "as root, look at the files that are named", "not all results of runtimes could be read")
	}
	return nil
}

// outcome is what became of one attachment.
type outcome struct {
	made []string
	err  error
}

// mendAll mends several at a time, as runtimes call plugins. The outcomes are in the order of the entries. Who is not as he was made is asked once more when all
// were: a firewall that begins, or an operator, may have swept his rules away while he was asked.
func mendAll(ctx context.Context, bundle plugin.Bundle, host *observe.Host, entries []cache.Entry) []outcome {
	outcomes := make([]outcome, len(entries))
	observe.SideBySide(len(entries), func(i int) { outcomes[i] = repairOne(ctx, bundle, host, entries[i]) })
	observe.SideBySide(len(entries), func(i int) {
		if fault.Code(outcomes[i].err) != fault.Drift {
			return
		}
		before := outcomes[i].made
		outcomes[i] = repairOne(ctx, bundle, host, entries[i])
		outcomes[i].made = append(before, outcomes[i].made...)
	})
	return outcomes
}

// told says what became of one that was broken, or was not. What all share (a chain) is made again by the first who is asked: the others have only
// to be looked at.
func (o outcome) told(e cache.Entry, broken bool) repaired {
	one := repaired{Attachment: attachment(e), Made: o.made, Fate: fateWhole}
	switch {
	case fault.Code(o.err) == fault.Namespace:
		one.Fate = fateGone
	case o.err != nil:
		one.Fate, one.Error, one.Remedy = fateBad, o.err.Error(), fault.Hint(o.err)
	case len(o.made) > 0 || broken:
		one.Fate = fateMended
	}
	return one
}

func (r repairAnswer) print(out, complaints io.Writer, count map[fate]int) {
	for _, one := range r.Attachments {
		for _, line := range one.Made {
			fmt.Fprintf(out, "%s: %s\n", safe(one.Attachment), safe(line))
		}
		switch {
		case one.Fate == fateBad:
			fmt.Fprintf(complaints, "%s: %s\n", safe(one.Attachment), safe(one.Error))
		case one.Fate == fateMended && len(one.Made) == 0:
			fmt.Fprintf(out, "%s: whole again\n", safe(one.Attachment))
		}
	}
	fmt.Fprintf(out, "%d mended, %d were whole, %d are gone (see trestle gc)\n", count[fateMended], count[fateWhole], count[fateGone])
}

// stranger says who has the attachment's address by now: its rules would lead to him.
func stranger(host *observe.Host, a *observe.Attachment) error {
	for _, v := range host.Reservations {
		if v.Network != a.Network || v.ContainerID == "" || v.ContainerID == a.ContainerID {
			continue
		}
		for _, text := range a.Addresses {
			if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Addr() == v.Address {
				return fault.New(fault.Drift, "", "address %s: reserved for %s by now, nothing was made", v.Address, v.ContainerID)
			}
		}
	}
	return nil
}

// attachment is the identifier that package observe has for the entry's.
func attachment(e cache.Entry) string { return e.Network + "/" + e.ContainerID + "/" + e.IfName }

func repairOne(ctx context.Context, bundle plugin.Bundle, host *observe.Host, e cache.Entry) (o outcome) {
	r, err := requestFor(e, bundle)
	if err != nil {
		return outcome{err: err}
	}
	if len(r.Plugins) == 0 {
		return o // none of ours has a part in it
	}
	a := host.Attachment(attachment(e))
	if a == nil {
		return outcome{err: fault.New(fault.TryLater, "call again", "its result came while the host was read")}
	}
	if err := stranger(host, a); err != nil {
		return outcome{err: err}
	}
	if a.Origin == observe.Reference {
		if _, err := r.call(ctx, bundle, "CHECK"); err == nil {
			return o // the reference's rules are there, and a DEL of ours finds them
		}
	}
	o.made, o.err = r.call(ctx, bundle, "REPAIR")
	if o.err == nil && a.State == observe.Broken { // nor is it whole without what REPAIR does not look at, as its reservation
		_, o.err = r.call(ctx, bundle, "CHECK")
	}
	return o
}
