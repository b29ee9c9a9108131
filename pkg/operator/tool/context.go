package tool

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/page"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// viewing is what the command context is asked for.
type viewing struct {
	against string
	options observe.Options
	json    bool
}

func contextCommand(bundle plugin.Bundle) *cobra.Command {
	var v viewing
	c := &cobra.Command{
		Use:   "context [NAMESPACE]",
		Short: "Show one network context: devices, addresses, routes, neighbours, rules, settings",
		Long: "Shows what a process in the network namespace sees, and who made each part. A namespace is named by its name or path, by the\n" +
			"beginning of its container's id, by a process's number, or by its inode number. Without one it is the host's own.\n\n" +
			"--diff shows instead what differs from the host, and --diff=OTHER from another namespace: + is here only, - is there only.",
		Example: "  trestle context\n  trestle context web\n  trestle context web --diff\n  trestle context web --diff=api",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return v.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), bundle, append(args, hostName)[0])
		},
	}
	c.Flags().StringVar(&v.against, "diff", "", "show what differs from that namespace")
	c.Flags().Lookup("diff").NoOptDefVal = hostName
	lookFlags(c, &v.options)
	jsonFlag(c, &v.json)
	return c
}

// hostName is what the host's own namespace is called.
const hostName = "host"

func (v viewing) run(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle, name string) error {
	host, err := look(ctx, complaints, bundle, v.options)
	if err != nil {
		return err
	}
	n, err := namespace(host, name)
	if err != nil {
		return err
	}
	p := page.Context(host, n)
	if v.against != "" {
		other, err := namespace(host, v.against)
		if err != nil {
			return err
		}
		p = page.Diff(p, page.Context(host, other))
	}
	if v.json {
		return printJSON(out, v.answer(host, n, p))
	}
	printPage(newScreen(out), p)
	return nil
}

// namespace is the one that the words name. A picture has the first few processes of each; the kernel knows of any which it is in.
func namespace(host *observe.Host, words string) (*observe.Namespace, error) {
	inode, err := observe.InodeOf(words)
	if err != nil {
		return nil, fault.New(fault.Namespace, "trestle context as root", "process %s: its network namespace may not be looked at: %w", words, err)
	}
	if inode != 0 {
		words = strconv.FormatUint(inode, 10)
	}
	return page.Namespace(host, words)
}

// answer is what --json prints: the namespace as it is in the picture, or the differences.
func (v viewing) answer(h *observe.Host, n *observe.Namespace, p *page.Page) any {
	if v.against != "" {
		return p
	}
	return contextAnswer{n, some(h.Problems)}
}

// printPage prints a page: its sections below each other, each a table.
func printPage(s screen, p *page.Page) {
	fmt.Fprintln(s, s.paint(strong, safe(p.Title)))
	for _, section := range p.Sections {
		fmt.Fprintf(s, "\n%s\n", s.paint(strong, safe(section.Title)))
		t := table{head: section.Head}
		for _, row := range section.Rows {
			var cells []cell
			for i, text := range row.Cells {
				c := colourOf(row.Mark)
				if c == plain && len(section.Head) == 0 && i == 0 {
					c = faint
				}
				cells = append(cells, cell{text, c})
			}
			t.add(cells...)
		}
		t.print(s)
	}
}

func colourOf(m page.Mark) colour {
	switch m {
	case page.Bad, page.Missing:
		return red
	case page.Own, page.More:
		return green
	}
	return plain
}
