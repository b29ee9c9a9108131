package draw

import (
	"fmt"
	"html"
	"strings"
	"unicode"
)

// screen measures in pixels.
var screen = metric{
	width: pixels, line: 17, padX: 10, padY: 7, gapX: 18, gapY: 20, track: 10, frame: 10, longest: 28, wide: 900, ratio: 0.7,
	legend: map[State]string{Broken: "orange, long dashes — ", Leaked: "purple, dots — ", Foreign: "grey — "},
}

// SVG draws the picture as an image that stands alone: no script, no font and no file beside it.
func (p Picture) SVG() string {
	s := place(p, screen)
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n",
		s.w, s.h, s.w, s.h)
	fmt.Fprintf(&out, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", escape(p.Title), escape(p.description()))
	out.WriteString("<style>" + style + "</style>\n")
	fmt.Fprintf(&out, `<rect class="paper" width="%d" height="%d"/>`+"\n", s.w, s.h)
	for _, f := range s.frames {
		fmt.Fprintf(&out, `<rect class="lane" x="%d" y="%d" width="%d" height="%d" rx="8"/>`+"\n", f.x, f.y, f.w, f.h)
	}
	for _, outer := range []bool{true, false} { // what is inside comes after what is around it
		for _, b := range s.shapes {
			if outer == (b.Kind != Interface) {
				out.WriteString(b.svg())
			}
		}
	}
	for _, across := range []bool{true, false} { // what runs down is above what runs across, with a gap where they cross
		for _, w := range s.wires {
			out.WriteString(s.wireSVG(w, across))
		}
	}
	for _, t := range s.texts {
		out.WriteString(t.svg())
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// style is the colours: Okabe and Ito's, which the colour-blind tell apart, and a pattern of dashes with each.
const style = `
text{font:13px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#33414e}
.paper{fill:#fff}.lane{fill:#f5f8fa;stroke:#dfe7ec}
.box{fill:#fff;stroke:#5f7280;stroke-width:1.2}
.outside{fill:#e7ebee;stroke:#9aa7b0}.uplink{fill:#dcebf5;stroke:#3f7ba6}.router{fill:#2f4858;stroke:#2f4858}
.filter{fill:#fdf3d8;stroke:#c9a227}.bridge{fill:#d5eae4;stroke:#00805f}.host-end{fill:#fff;stroke:#8ba39b}.interface{fill:#edf5f2;stroke:#8ba39b}
.in-router{fill:#fff}.in-router.plain{fill:#d6e0e6}
.wire{fill:none;stroke:#5f7280;stroke-width:1.5}.gap{fill:none;stroke:#f5f8fa;stroke-width:9}.joint{fill:#5f7280}
.head,.title,.name{font-weight:bold;fill:#16222b}.in-router.head{fill:#fff}.title{font-size:16px}.name{fill:#00654b}
.host-end-text{fill:#5f7280}
.broken{stroke:#d55e00;stroke-width:2.4;stroke-dasharray:8 3}.box.broken{fill:#fdeadd}
.leaked{stroke:#9b3f84;stroke-width:2.4;stroke-dasharray:2 3}.box.leaked{fill:#f8e8f3}
.foreign{stroke:#8a8a8a;stroke-dasharray:none}.box.foreign{fill:#efefef}
.word{font-style:italic}.word.is-broken{fill:#a84400;font-weight:bold}.word.is-leaked{fill:#7d2a69;font-weight:bold}.word.is-foreign{fill:#666}
`

func (b shape) svg() string {
	var out strings.Builder
	radius := 4
	if b.Kind == Namespace {
		radius = 8
	}
	fmt.Fprintf(&out, `<g><title>%s</title><rect class="box %s %s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`,
		escape(b.tell()), b.Kind, b.State, b.x, b.y, b.w, b.h, radius)
	for _, t := range b.texts {
		out.WriteString(t.svg("in-"+string(b.Kind), string(b.Kind)+"-text"))
	}
	out.WriteString("</g>\n")
	return out.String()
}

// tell is the whole of a box's text, which is shown shortened.
func (b Box) tell() string {
	parts := []string{string(b.Kind) + " " + b.Title}
	for _, l := range b.Lines {
		parts = append(parts, l.Text)
	}
	if word := b.word(); word != "" {
		parts = append(parts, word)
	}
	return strings.Join(parts, "; ")
}

func (t text) svg(classes ...string) string {
	class := map[role]string{titleText: "title", headText: "head", plainText: "plain", wordText: "word", laneText: "name", labelText: "label"}[t.role]
	classes = append(classes, class)
	if t.state != Normal && t.role == wordText {
		classes = append(classes, "is-"+string(t.state))
	}
	return fmt.Sprintf(`<text class="%s" x="%d" y="%d" text-anchor="middle">%s</text>`, strings.Join(classes, " "), t.mid(), t.y+13, escape(t.s))
}

func (s sheet) wireSVG(w wire, across bool) string {
	var out strings.Builder
	for _, p := range w.pieces {
		if across != (p.y1 == p.y2) {
			continue
		}
		for _, y := range s.crossings(w.box, p) {
			fmt.Fprintf(&out, `<path class="gap" d="M%d %dV%d"/>`, p.x1, y-4, y+4)
		}
		fmt.Fprintf(&out, `<path class="wire %s" d="M%d %dL%d %d"/>`, p.state, p.x1, p.y1, p.x2, p.y2)
	}
	if !across {
		for _, j := range w.joints {
			fmt.Fprintf(&out, `<circle class="joint" cx="%d" cy="%d" r="3"/>`, j.x, j.y)
		}
	}
	return out.String() + "\n"
}

// crossings lists where other wires run across the piece, if it runs down.
func (s sheet) crossings(box string, down piece) []int {
	var ys []int
	for _, w := range s.wires {
		for _, p := range w.pieces {
			if w.box != box && p.y1 == p.y2 && down.y1 < p.y1 && p.y1 < down.y2 && p.x1 < down.x1 && down.x1 < p.x2 {
				ys = append(ys, p.y1)
			}
		}
	}
	return ys
}

// description is the picture in words.
func (p Picture) description() string {
	counts, ill := map[Kind]int{}, map[State]int{}
	for _, b := range p.Boxes {
		counts[b.Kind]++
		ill[b.State]++
	}
	return fmt.Sprintf("From top to bottom: %d places outside, %d uplinks, the host, %d bridges, %d containers. %d broken, %d leaked, %d not ours.",
		counts[Outside], counts[Uplink], counts[Bridge], counts[Namespace], ill[Broken], ill[Leaked], ill[Foreign])
}

func escape(s string) string { return html.EscapeString(Clean(s)) }

// pixels is the width of a line of text, as the widest of the fonts asked for would have it.
func pixels(s string, r role) int {
	size := 8.0
	if r == titleText {
		size = 10
	}
	width := 0.0
	for _, c := range s {
		switch {
		case wide(c):
			width += size * 1.8
		case c > unicode.MaxLatin1 && c != '…' && c != '→': // from another font
			width += size * 1.4
		default:
			width += size
		}
	}
	return int(width) + 1
}
