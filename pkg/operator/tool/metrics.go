package tool

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/operator/logbook"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// metering is what the command metrics is asked for.
type metering struct {
	examination
	output string
}

func metricsCommand(bundle plugin.Bundle) *cobra.Command {
	var m metering
	c := &cobra.Command{
		Use:   "metrics",
		Short: "Count attachments, addresses, findings and verbs, as Prometheus reads them",
		Long: "Prints, in Prometheus' text format, the attachments by network and state, the addresses used and free of each range, doctor's findings\n" +
			"by id, the packets that our rules have dropped, and, where the host keeps a log, the verbs in it with their times. Nothing is changed. A timer that runs it with --output\n" +
			"into the directory of node_exporter's textfile collector is all that a node needs; the file is replaced whole.",
		Example: "  trestle metrics\n  trestle metrics -o metrics.prom",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return m.write(c.Context(), bundle, c.OutOrStdout())
		},
	}
	configsFlag(c, &m.configs)
	pluginsFlag(c, &m.plugins, pluginDirs())
	resultsFlag(c, &m.results)
	c.Flags().StringVarP(&m.output, "output", "o", "", "write to this file")
	return c
}

func (m *metering) write(ctx context.Context, bundle plugin.Bundle, out io.Writer) error {
	if info, err := os.Lstat(m.output); err == nil && !info.Mode().IsRegular() { // it is replaced: of /dev/null that would be one too many
		return fault.New(fault.Config, "name a file, or leave it out", "--output: %s: is something else than a file", m.output)
	}
	picture, err := m.picture(ctx, bundle)
	if err != nil {
		return err
	}
	var text exposition
	text.host(picture.Host)
	text.findings(picture.Examine())
	text.dropped()
	unread := text.verbs() // a log that cannot be read is no reason to tell nothing of the host
	text.end()
	if m.output == "" {
		_, err = out.Write(text.Bytes())
		return cmp.Or(err, unread)
	}
	if err := plainfile.Publish(m.output, text.Bytes()); err != nil {
		return fault.New(fault.IO, "name a file in a directory that can be written", "--output: %w", err)
	}
	return unread
}

// exposition is text in the format of Prometheus, version 0.0.4. Who reads it refuses all of it where two samples have the same labels: they are one, with the sum.
type exposition struct {
	bytes.Buffer
	name string // of the metric that has begun
	sums map[string]float64
}

// family begins a metric. Ours are gauges: they say how it is now.
func (x *exposition) family(name, help string) { x.begin(name, "gauge", help) }

func (x *exposition) begin(name, kind, help string) {
	x.end()
	fmt.Fprintf(x, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, kind)
	x.name, x.sums = name, make(map[string]float64)
}

// end writes the samples of the metric that has begun.
func (x *exposition) end() {
	for _, labels := range slices.Sorted(maps.Keys(x.sums)) {
		fmt.Fprintf(x, "%s%s} %s\n", x.name, labels, strconv.FormatFloat(x.sums[labels], 'g', -1, 64))
	}
	x.sums = nil
}

// add adds to the value with those labels, which are keys and values by turns.
func (x *exposition) add(value float64, labels ...string) { x.addTo("", value, labels...) }

// addTo is add to the part of a metric whose name ends so.
func (x *exposition) addTo(end string, value float64, labels ...string) {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var list []string
	for i := 0; i < len(labels); i += 2 {
		list = append(list, labels[i]+`="`+escape.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD"))+`"`)
	}
	x.sums[end+"{"+strings.Join(list, ",")] += value
}

func (x *exposition) host(h *observe.Host) {
	x.family("trestle_attachments", "Interfaces of containers, by network and state.")
	for _, a := range h.Attachments {
		x.add(1, "network", a.Network, "state", string(a.State))
	}
	for _, f := range []struct {
		name, help string
		value      func(*observe.Range) float64
	}{
		{"trestle_addresses_used", "Reserved addresses of a range.", func(r *observe.Range) float64 { return float64(r.Used) }},
		{"trestle_addresses_free", "Addresses of a range that can be handed out.", func(r *observe.Range) float64 { return float64(r.Size) - float64(r.Used) }},
	} {
		x.family(f.name, f.help)
		for _, n := range h.Networks {
			for _, r := range n.Ranges {
				if r.Uncounted {
					continue
				}
				x.add(f.value(r), "network", n.Name, "range", r.First.String()+"-"+r.Last.String())
			}
		}
	}
	x.family("trestle_unread", "Objects that could not be read; with any, something may be missing.")
	x.add(float64(len(h.Problems)))
}

func (x *exposition) findings(found []doctor.Finding) {
	x.family("trestle_findings", "What trestle doctor finds, by the ids of docs/doctor.md.")
	for _, f := range found {
		x.add(1, "id", f.ID, "severity", string(f.Severity))
	}
}

// dropped is what our rules in nftables have dropped; nothing for who may not ask.
func (x *exposition) dropped() {
	filter := nft.Open()
	defer filter.Close()
	list, err := filter.Dropped()
	if err != nil || len(list) == 0 {
		return
	}
	x.family("trestle_dropped_packets", "Packets that rules of ours in nftables have dropped since their table was made.")
	for _, d := range list {
		x.add(float64(d.Packets), "table", d.Table, "chain", d.Chain, "rule", d.Rule, "reason", d.Reason)
	}
}

// verbs are those that are in the host's log, as far back as it goes.
func (x *exposition) verbs() error {
	log, err := journal.Read()
	if err != nil || log.To == "" {
		return nil // doctor tells of the first
	}
	return x.verbsIn(func(each func(journal.Entry) bool) error { return logbook.Read(log, logbook.Query{}, each) })
}

func (x *exposition) verbsIn(read func(each func(journal.Entry) bool) error) error {
	times, codes := make(map[[2]string][]float64), make(map[[3]string]float64)
	err := read(func(e journal.Entry) bool {
		of := [2]string{e.Verb, e.Plugin}
		times[of] = append(times[of], e.Millis/1000)
		codes[[3]string{e.Verb, e.Plugin, strconv.FormatUint(uint64(e.Code), 10)}]++
		return true
	})
	if err != nil {
		return err
	}
	x.family("trestle_log_verbs", "Verbs in the log, by the code that they ended with; 0 is success.")
	for of, count := range codes {
		x.add(count, "verb", of[0], "plugin", of[1], "code", of[2])
	}
	x.begin("trestle_log_verb_seconds", "summary", "How long the verbs in the log took.")
	for of, list := range times {
		order.By(list, cmp.Compare[float64])
		x.addTo("_count", float64(len(list)), "verb", of[0], "plugin", of[1])
		for _, seconds := range list {
			x.addTo("_sum", seconds, "verb", of[0], "plugin", of[1])
		}
		for _, quantile := range []string{"0.5", "0.99", "1"} {
			q, _ := strconv.ParseFloat(quantile, 64)
			x.add(list[int(q*float64(len(list)-1))], "verb", of[0], "plugin", of[1], "quantile", quantile)
		}
	}
	return nil
}
