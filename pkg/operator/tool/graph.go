package tool

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/portrait"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// graph is what the command of that name is asked for.
type graph struct {
	options             observe.Options
	format, file, focus string
	width               int
	ascii, open, json   bool
}

func graphCommand(bundle plugin.Bundle) *cobra.Command {
	var g graph
	c := &cobra.Command{
		Use:   "graph",
		Short: "Draw the host's container networking",
		Long: "Draws the outside, the uplinks, the host, what the packet filter does for each network, bridges, host ends of veth pairs, and the\n" +
			"containers with their interfaces. What is broken, leaked or not ours is marked in words, colour and pattern. With more than 200\n" +
			"containers, those that are well are counted. A file's format follows from its name (.svg, .dot, .mmd, .json) if none is given.",
		Example: "  trestle graph\n  trestle graph --focus web\n  trestle graph -o host.svg\n  trestle graph --format dot",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return g.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), bundle)
		},
	}
	c.Flags().StringVar(&g.format, "format", "", "text, svg, dot, mermaid or json (default text)")
	lookFlags(c, &g.options)
	jsonFlag(c, &g.json)
	c.Flags().StringVarP(&g.file, "output", "o", "", "write to this file")
	c.Flags().StringVar(&g.focus, "focus", "", "draw only what is connected to this container, address, link, MAC or network")
	c.Flags().IntVar(&g.width, "width", 0, "columns of a picture in text (default the terminal's, or 120)")
	c.Flags().BoolVar(&g.ascii, "ascii", false, "draw text with ASCII alone (default where the locale is not UTF-8)")
	c.Flags().BoolVar(&g.open, "open", false, "show it with the desktop's program for images (xdg-open)")
	return c
}

func (g graph) run(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle) error {
	if err := g.settle(); err != nil {
		return err
	}
	host, err := look(ctx, complaints, bundle, g.options)
	if err != nil {
		return err
	}
	p := portrait.Of(host)
	p.Title = title(time.Now())
	if g.focus != "" {
		if p, err = p.Focus(g.focus); err != nil {
			return err
		}
	}
	text := g.write(p, out)
	switch {
	case g.open:
		return g.show(ctx, text)
	case g.file != "":
		return os.WriteFile(g.file, []byte(text), 0o644)
	}
	_, err = io.WriteString(out, text)
	return err
}

// title says of which host the picture is, and when it was drawn.
func title(now time.Time) string {
	name, err := os.Hostname()
	if err != nil {
		name = "this host"
	}
	return "The network of " + name + ", " + now.Format("2006-01-02 15:04:05 MST")
}

// formats are the names of formats, and what files of each are called.
var formats = map[string]string{"text": ".txt", "svg": ".svg", "dot": ".dot", "mermaid": ".mmd", "json": ".json"}

// settle finds the format, before anything is read.
func (g *graph) settle() error {
	if g.json {
		g.format = "json"
	}
	if g.open && g.format == "" {
		g.format = "svg"
	}
	for name, ending := range formats {
		if g.format == "" && strings.HasSuffix(g.file, ending) {
			g.format = name
		}
	}
	if ending := filepath.Ext(g.file); g.format == "" && ending != "" {
		return fault.New(fault.Config, "name it .txt, .svg, .dot, .mmd or .json, or give the --format; rsvg-convert and other programs make a "+
			"bitmap of an SVG", "-o %s: %s is no format of ours", safe(g.file), safe(ending))
	}
	g.format = cmp.Or(g.format, "text")
	if _, known := formats[g.format]; !known {
		return noSuch("format", g.format, slices.Sorted(maps.Keys(formats)))
	}
	if _, err := exec.LookPath("xdg-open"); g.open && err != nil {
		return fault.New(fault.Config, "use -o FILE.svg, and open that", "--open: xdg-open: not found on this host")
	}
	return nil
}

func (g graph) write(p draw.Picture, out io.Writer) string {
	switch g.format {
	case "json":
		return p.JSON()
	}
	p = p.Brief()
	switch g.format {
	case "svg":
		return p.Group(draw.Legible).SVG()
	case "dot":
		return p.Group(draw.Legible).DOT()
	case "mermaid":
		return p.Group(draw.Legible).Mermaid()
	}
	t := draw.Terminal{Width: g.width, ASCII: g.ascii || !speaksUTF8(), Color: g.file == "" && newScreen(out).coloured}
	if t.Width == 0 {
		t.Width = columns(out)
	}
	return p.Group(draw.Legible).Text(t)
}

// speaksUTF8 says whether the locale's characters are UTF-8. Where no locale is set, as in a container, terminals do all the same.
func speaksUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(os.Getenv(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return true
}

// columns is the width of the terminal, or 120 where there is none.
func columns(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return 120
}

// show hands a temporary file to the desktop. It stays: the program that shows it may come back before it has read it.
func (g graph) show(ctx context.Context, text string) error {
	file, err := os.CreateTemp("", "trestle-*"+formats[g.format])
	if err != nil {
		return err
	}
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	said, err := exec.CommandContext(ctx, "xdg-open", file.Name()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("xdg-open %s: %w: %s", file.Name(), err, strings.Join(slices.Collect(strings.Lines(string(said))), " "))
	}
	return nil
}
