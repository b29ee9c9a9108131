package tool

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/page"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

func showCommand(bundle plugin.Bundle) *cobra.Command {
	var v showing
	c := &cobra.Command{
		Use:   "show WHAT",
		Short: "Show everything about one container, link, address, port, namespace or network",
		Long: "WHAT is a container's id or the beginning of it, a pod, a link, a MAC, an address, a published port (8080, 8080/udp, 127.0.0.1:8080), a\n" +
			"namespace, or a network; link:NAME, network:NAME and so on where one name has several. The page says who made it, where its packets\n" +
			"go, what is reserved and which rules it has, with what they counted, and what CHECK says of it now. The exit status is 1 when there\n" +
			"is no such thing, or more than one; what CHECK finds does not change it.",
		Example: "  trestle show web\n  trestle show 10.10.0.2\n  trestle show 8080/tcp\n  trestle show network:front --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return v.show(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), bundle, args[0])
		},
	}
	lookFlags(c, &v.options)
	jsonFlag(c, &v.json)
	return c
}

// showing is what the command show is asked for.
type showing struct {
	options observe.Options
	json    bool
}

func (v showing) show(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle, words string) error {
	host, err := look(ctx, complaints, bundle, v.options)
	if err != nil {
		return err
	}
	thing, err := page.Find(host, words)
	if err != nil {
		return err
	}
	p := page.Of(host, thing)
	if thing.Kind != page.KindNetwork {
		attached := page.AttachmentsOf(host, thing)
		for _, s := range []page.Section{v.checks(ctx, bundle, attached), happened(attached)} {
			if len(s.Rows) > 0 {
				p.Sections = append(p.Sections, s)
			}
		}
	}
	if v.json {
		return printJSON(out, showAnswer{thing.Kind, thing.Name, some(page.AttachmentsOf(host, thing)), networkOf(host, thing), thing.Link, thing.Namespace, p,
			some(host.Problems)})
	}
	printPage(newScreen(out), p)
	return nil
}

// checks asks the plugins of each attachment for their CHECK.
func (v showing) checks(ctx context.Context, bundle plugin.Bundle, list []*observe.Attachment) page.Section {
	s := page.Section{Title: "what CHECK says"}
	for _, a := range list {
		said, mark := v.check(ctx, bundle, a)
		s.Rows = append(s.Rows, page.Row{Cells: []string{a.Network + "/" + a.IfName, said}, Mark: mark})
	}
	return s
}

// check asks by the public protocol, with what the runtime remembers. Where that cannot be, it says why.
func (v showing) check(ctx context.Context, bundle plugin.Bundle, a *observe.Attachment) (said string, mark page.Mark) {
	switch {
	case a.State == observe.Leaked:
		return "not asked: its container is gone", page.Bad
	case a.Result == "":
		return "not asked: no runtime remembers with which configuration it was made", page.Plain
	case a.Origin != observe.Trestle:
		return "not asked: other plugins made it", page.Plain
	case !mayEnter():
		return "not asked: only root may enter its namespace", page.Plain
	}
	entries, _ := cache.Read(v.options.Results) // a torn one is among the problems of the picture
	i := slices.IndexFunc(entries, func(e cache.Entry) bool { return e.File == a.Result })
	if i < 0 {
		return "not asked: the runtime has just forgotten it", page.Plain
	}
	r, err := requestFor(entries[i], bundle)
	if err == nil {
		_, err = r.call(ctx, bundle, "CHECK")
	}
	if err == nil {
		return "all is as it was made", page.Plain
	}
	if hint := fault.Hint(err); hint != "" {
		return fmt.Sprintf("%v (%s)", err, hint), page.Bad
	}
	return err.Error(), page.Bad
}

// networkOf is the network that the thing is; nil if it is something else.
func networkOf(host *observe.Host, t page.Thing) *observe.Network {
	if t.Kind == page.KindNetwork {
		return host.Network(t.Name)
	}
	return nil
}
