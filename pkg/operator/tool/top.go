package tool

import (
	"cmp"
	"context"
	"io"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/operator/meter"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/order"
)

// topping is what the command top is asked for.
type topping struct {
	options       observe.Options
	network, sort string
	interval      time.Duration
	once, json    bool
}

// shortest is how often counters are read at the most: what they cost is to be lost in what they count.
const shortest = 100 * time.Millisecond

// sorts are what lines can be sorted by. What is equal stands by name.
var sorts = map[string]func(in, out topCount, begun topBegun) float64{
	"traffic":     func(in, out topCount, _ topBegun) float64 { return in.BytesPerSecond + out.BytesPerSecond },
	"in":          func(in, _ topCount, _ topBegun) float64 { return in.BytesPerSecond },
	"out":         func(_, out topCount, _ topBegun) float64 { return out.BytesPerSecond },
	"packets":     func(in, out topCount, _ topBegun) float64 { return in.PacketsPerSecond + out.PacketsPerSecond },
	"connections": func(_, _ topCount, begun topBegun) float64 { return begun.PerSecond },
	"total":       func(in, out topCount, _ topBegun) float64 { return float64(in.Bytes + out.Bytes) },
	"name":        func(_, _ topCount, _ topBegun) float64 { return 0 },
}

func topCommand() *cobra.Command {
	var t topping
	c := &cobra.Command{
		Use:   "top",
		Short: "Show who sends and receives how much, live",
		Long: "Bytes, packets and new connections of each container's interface, and of its published ports, as the container sees them. Bytes and packets are\n" +
			"those that links count anyway; of connections the kernel tells while this runs, those that the host tracks. Bytes of a published port are\n" +
			"known where the kernel counts by connection (net.netfilter.nf_conntrack_acct). What rules of ours in nftables drop stands below, and what cannot be\n" +
			"seen, as without root.",
		Example: "  trestle top --once --sort connections\n  trestle top --once --interval 100ms --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return t.run(ctx, c.OutOrStdout())
		},
	}
	networkFlag(c, &t.network)
	lookFlags(c, &t.options)
	c.Flags().DurationVar(&t.interval, "interval", time.Second, "how long it counts for a line")
	c.Flags().BoolVar(&t.once, "once", false, "count once, print it, and end")
	c.Flags().StringVar(&t.sort, "sort", "traffic", "what comes first: "+strings.Join(slices.Sorted(maps.Keys(sorts)), ", "))
	jsonFlag(c, &t.json)
	return c
}

func (t *topping) run(ctx context.Context, out io.Writer) error {
	if sorts[t.sort] == nil {
		return noSuch("order", t.sort, slices.Sorted(maps.Keys(sorts)))
	}
	if t.interval < shortest {
		return fault.New(fault.Config, "count longer", "--interval: %v: must be %v at the least", t.interval, shortest)
	}
	t.options.Results = cmp.Or(t.options.Results, cache.Dir)
	m, err := meter.Open(t.options)
	if err != nil {
		return err
	}
	defer m.Close()
	before, err := m.Read(ctx)
	if err == nil {
		err = knownNetwork(m.Host(), t.network)
	}
	if err != nil {
		return err
	}
	return t.follow(ctx, m, before, newDisplay(out, t))
}

// follow shows one reading after the other, until ctx ends or it was to be one.
func (t *topping) follow(ctx context.Context, m *meter.Meter, before *meter.Sample, d *display) (err error) {
	defer d.close()
	if d.live {
		err = d.show(t.answer(nil, before))
	}
	turns := time.NewTicker(t.interval)
	defer turns.Stop()
	for err == nil {
		select {
		case <-ctx.Done(): // somebody has seen enough
			return nil
		case <-d.resized:
			err = d.again()
		case <-turns.C:
			now, failed := m.Read(ctx)
			if failed != nil {
				return failed
			}
			if err = d.show(t.answer(before, now)); t.once {
				return err
			}
			before = now
		}
	}
	return err
}

// answer compares two readings. Without the first nothing is known but what has gone in all.
func (t *topping) answer(before, now *meter.Sample) topAnswer {
	answer, was := topAnswer{Time: now.Time, Interfaces: []topLine{}, Unseen: some(slices.Clone(now.Unseen))}, make(map[string]*meter.Interface)
	var dropped []nft.Dropped
	if before != nil {
		dropped = before.Dropped
		answer.Seconds = now.Time.Sub(before.Time).Seconds()
		for i := range before.Interfaces {
			was[before.Interfaces[i].ID] = &before.Interfaces[i]
		}
	}
	c := comparison{answer.Seconds, now.Heard, now.Counted}
	answer.Dropped = c.dropped(dropped, now.Dropped)
	for i := range now.Interfaces {
		one := &now.Interfaces[i]
		if t.network != "" && one.Network != t.network {
			continue
		}
		answer.Interfaces = append(answer.Interfaces, c.line(was[one.ID], one))
		if one.Unseen != "" {
			answer.Unseen = append(answer.Unseen, observe.Problem{Object: one.ID, Cause: one.Unseen})
		}
	}
	by := func(l topLine) float64 {
		return sorts[t.sort](valueOf(l.Received), valueOf(l.Sent), valueOf(l.Connections))
	}
	order.By(answer.Interfaces, func(a, b topLine) int {
		return cmp.Or(cmp.Compare(by(b), by(a)), strings.Compare(a.ID, b.ID))
	})
	return answer
}

// valueOf is the value, or what of nothing is known.
func valueOf[T any](value *T) (v T) {
	if value != nil {
		v = *value
	}
	return v
}
