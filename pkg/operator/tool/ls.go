package tool

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// listing is what the command ls is asked for.
type listing struct {
	network    string
	options    observe.Options
	wide, json bool
}

func lsCommand(bundle plugin.Bundle) *cobra.Command {
	var l listing
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the attachments of containers, ours and others'",
		Long: "Shows each container's interface on each network, from what links, rules, reservations and runtimes say of it. Its state is whole;\n" +
			"broken: the container lives and something is missing; half: an ADD or DEL that never ended; or leaked: the container is provably\n" +
			"dead, and something of it is left (trestle gc). Without root, what cannot be read is named on standard error.",
		Example: "  trestle ls\n  trestle ls --network front --wide\n  trestle ls --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return l.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), bundle)
		},
	}
	networkFlag(c, &l.network)
	lookFlags(c, &l.options)
	c.Flags().BoolVar(&l.wide, "wide", false, "whole container ids, namespaces, bridges, who made it, and why it is not whole")
	jsonFlag(c, &l.json)
	return c
}

func (l listing) run(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle) error {
	host, err := look(ctx, complaints, bundle, l.options)
	if err == nil {
		err = knownNetwork(host, l.network)
	}
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(host.Attachments, func(a *observe.Attachment) bool { return l.network != "" && a.Network != l.network })
	if l.json {
		return printJSON(out, listAnswer{some(list), some(host.Problems)})
	}
	l.print(newScreen(out), list, time.Now())
	return nil
}

// lookFlags are where a command that shows the host looks.
func lookFlags(c *cobra.Command, o *observe.Options) {
	resultsFlag(c, &o.Results)
	configsFlag(c, &o.Configs)
}

// look reads the host, and names what could not be read. On a terminal it says how far it is when that takes longer.
func look(ctx context.Context, complaints io.Writer, bundle plugin.Bundle, options observe.Options) (*observe.Host, error) {
	begun, shown := time.Now(), false
	options.Check = checkBy(bundle)
	if onTerminal(complaints) {
		options.Progress = func(done, total int) {
			if time.Since(begun) > 2*time.Second && done%50 == 0 {
				shown = true
				fmt.Fprintf(complaints, "\rread %d of %d namespaces", done, total)
			}
		}
	}
	host, err := observe.Read(ctx, options)
	if shown {
		fmt.Fprint(complaints, "\r\x1b[K")
	}
	if err == nil {
		for _, p := range host.Problems {
			fmt.Fprintf(complaints, "%s: not read: %s\n", safe(p.Object), safe(p.Cause))
		}
	}
	return host, err
}

func (l listing) print(s screen, list []*observe.Attachment, now time.Time) {
	t := table{head: []string{"NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "HOST LINK", "PORTS", "AGE", "STATE"}}
	if l.wide {
		t.head = append(t.head, "BRIDGE", "NAMESPACE", "MADE BY", "WHY")
	}
	pods := slices.ContainsFunc(list, func(a *observe.Attachment) bool { return a.Pod != "" })
	if pods {
		t.head = slices.Insert(t.head, 2, "POD")
	}
	for _, a := range list {
		row := []cell{{text: a.Network}, {text: l.shortened(a.ContainerID)}, {text: a.IfName}, {text: strings.Join(a.Addresses, " ")}, {text: name(a.HostLink)},
			{text: ports(a)}, {text: age(a, now)}, {string(a.State), stateColour(a.State)}}
		if l.wide {
			row = append(row, cell{text: name(a.Bridge)}, cell{text: a.Netns}, cell{text: string(a.Origin)}, cell{text: strings.Join(a.Why, "; ")})
		}
		if pods {
			row = slices.Insert(row, 2, cell{text: a.Pod})
		}
		t.add(row...)
	}
	t.print(s)
}

// shortened is a container's id, shortened as runtimes do if it is one of their long ones.
func (l listing) shortened(container string) string {
	const long, short = 64, 12
	if !l.wide && len(container) == long {
		return container[:short]
	}
	return container
}

// name is the last part of a link's identifier.
func name(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

// ports are the published ports as docker-ps(1) writes them: one of both families once.
func ports(a *observe.Attachment) string {
	var texts []string
	for _, p := range a.Ports {
		if text := portText(p); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, " ")
}

func portText(p observe.Port) string {
	host := fmt.Sprint(p.HostPort)
	if p.HostIP.IsValid() {
		host = fmt.Sprintf("%s:%d", p.HostIP, p.HostPort)
		if p.HostIP.Is6() {
			host = fmt.Sprintf("[%s]:%d", p.HostIP, p.HostPort)
		}
	}
	return fmt.Sprintf("%s>%d/%s", host, p.Target.Port(), p.Protocol)
}

// age is how long ago the runtime wrote the result down, in one unit.
func age(a *observe.Attachment, now time.Time) string {
	if a.Since == nil {
		return "-"
	}
	switch d := now.Sub(*a.Since); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(int(d.Seconds()), 0))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

func stateColour(s observe.State) colour {
	switch s {
	case observe.Leaked, observe.Broken:
		return red
	case observe.Half:
		return yellow
	}
	return plain
}
