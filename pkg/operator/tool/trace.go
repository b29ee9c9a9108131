package tool

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/trace"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// tracing is what the command trace is asked for.
type tracing struct {
	results             string
	six, live, asObject bool
}

func traceCommand(bundle plugin.Bundle) *cobra.Command {
	var o tracing
	c := &cobra.Command{
		Use:   "trace FROM TO[:PORT][/PROTOCOL]",
		Short: "Say what the kernel does with a packet, step by step, and why",
		Long: "Follows a packet from one end to the other and its answer back: routes, bridges, translation, forwarding, policies. Each route is asked\n" +
			"of the kernel, and each rule is judged, whoever made it; what is not understood is said. Nothing is sent, unless by --live.\n\n" +
			"An end is a container's id or its beginning, a pod, a namespace's name, an address, host, or outside. Without a port it is a ping; with one, tcp.\n" +
			"The number of a published port alone stands for that port of the host. What a runtime remembers of the attachments at both ends tells\n" +
			"which rule is gone. The status is 0 where the packet arrives and is answered, 1 where not, and 2 where that is not known.",
		Example: "  trestle trace web api:80\n  trestle trace outside 192.0.2.1:8080\n  trestle trace web 203.0.113.9:53/udp",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, unix.SIGTERM)
			defer stop()
			return o.run(ctx, c.OutOrStdout(), bundle, args[0], args[1])
		},
	}
	failsWith(c, unknown)
	resultsFlag(c, &o.results)
	c.Flags().BoolVarP(&o.six, "ipv6", "6", false, "ask for IPv6 where an end has both")
	c.Flags().BoolVar(&o.live, "live", false, "send one packet as well (tcp, udp or a ping), and tell the rules that it and its answer met; needs root")
	jsonFlag(c, &o.asObject)
	return c
}

func (o *tracing) run(ctx context.Context, out io.Writer, bundle plugin.Bundle, from, to string) error {
	town, err := trace.Open(ctx, observe.Directories()...)
	if err != nil {
		return err
	}
	defer town.Close()
	if town.Promises, err = promises(ctx, bundle, o.results); err != nil {
		return err
	}
	q, err := town.Parse(from, to, o.results, o.six)
	if err != nil {
		return err
	}
	a := town.Ask(q)
	if o.live {
		if err = town.Send(ctx, q, a); err != nil {
			return err
		}
	}
	if o.asObject {
		err = printJSON(out, a)
	} else {
		err = printAnswer(newScreen(out), a)
	}
	switch fate := a.Fate(); {
	case err != nil || fate == trace.Reachable:
		return err
	case fate == trace.Unknown:
		return status(unknown)
	}
	return status(1)
}

// unknown is the exit status of a trace of which it is not known whether the packet arrives.
const unknown = 2

// promises are what runtimes remember of the attachments of containers that live.
func promises(ctx context.Context, bundle plugin.Bundle, results string) (list []trace.Promise, err error) {
	host, err := observe.Read(ctx, observe.Options{Results: results, Check: checkBy(bundle)})
	if err != nil {
		return nil, err
	}
	for _, a := range host.Attachments {
		if a.State.Wrong() && a.State != observe.Broken {
			continue
		}
		p := trace.Promise{Attachment: a.ID, Masked: a.Promise.Masked}
		if a.State == observe.Broken {
			p.Broken = a.Why
		}
		if n := host.Namespace(a.Namespace); n != nil {
			p.Namespace = n.Inode
		}
		p.Addresses = a.Promise.Addresses
		for _, port := range a.Promise.Ports {
			p.Ports = append(p.Ports, trace.Port{HostIP: port.HostIP, Number: port.HostPort, Protocol: port.Protocol})
		}
		list = append(list, p)
	}
	return list, nil
}

// printAnswer prints what it comes to first, in colour, and then each step.
func printAnswer(s screen, a *trace.Answer) error {
	paint := red
	if a.Outcome == trace.Reachable {
		paint = strong
	}
	for i, line := range strings.Split(strings.TrimSuffix(a.Text(), "\n"), "\n") {
		line = safe(line)
		if rest, ok := strings.CutPrefix(line, string(a.Outcome)); ok && i == 0 {
			line = s.paint(paint, string(a.Outcome)) + rest
		}
		if _, err := fmt.Fprintln(s, line); err != nil {
			return err
		}
	}
	return nil
}
