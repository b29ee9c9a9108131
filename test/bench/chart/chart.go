// Package chart draws what a benchmark found as an image that stands alone, in the colours and the type of the pictures of `trestle graph`: bars for
// categories, lines for what grows, each with its name and its number beside it instead of a legend.
//
// It is a writer of its own because a plotting library has to be talked out of its axes, legends, number formats and margins one by one, which took as
// many lines as this has, and brings nine modules.
package chart

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is what is drawn. The sentence says what is to be seen.
type Chart struct {
	Title, Unit, Sentence string
}

// Sizes, in pixels. A character is as wide as the widest font of those asked for has it, so that the margins hold any of them.
const (
	width     = 820
	margin    = 20
	character = 8
	large     = 10 // of the title
	row       = 20
)

const style = `<style>
text{font:13px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#33414e}
.title{font-size:16px;font-weight:bold;fill:#16222b}.unit,.sentence{fill:#5f7280}.group{font-weight:bold}
.grid{stroke:#dfe7ec}.axis{stroke:#9aa7b0}.end{text-anchor:end}.middle{text-anchor:middle}
.label{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
</style>
`

// ink is how a contestant is drawn: Okabe and Ito's colours, which the colour-blind tell apart, and dashes with each.
type ink struct{ colour, dashes string }

var inks = []ink{{"#5f7280", "1 3"}, {"#00805f", ""}, {"#3f7ba6", "9 3"}, {"#a8811a", "3 3"}, {"#d55e00", ""}, {"#9b3f84", "9 3"}, {"#2f4858", "3 3"}}

// sheet is a drawing in the making.
type sheet struct {
	strings.Builder
	height int
}

func (s *sheet) text(class string, x, y float64, format string, args ...any) {
	fmt.Fprintf(s, `<text class="%s" x="%.0f" y="%.0f">%s</text>`+"\n", class, x, y, html.EscapeString(fmt.Sprintf(format, args...)))
}

// begin writes title and unit, and returns where the drawing begins.
func (s *sheet) begin(c Chart) float64 {
	y := margin + 12.0
	for _, line := range wrap(c.Title, (width-2*margin)/large) {
		s.text("title", margin, y, "%s", line)
		y += row
	}
	s.text("unit", margin, y, "%s", c.Unit)
	return y + row/2
}

// end writes the sentence below the drawing, and returns the whole.
func (s *sheet) end(c Chart, y float64) string {
	for _, line := range wrap(c.Sentence, (width-2*margin)/character) {
		y += row
		s.text("sentence", margin, y, "%s", line)
	}
	s.height = int(y) + margin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">
<title id="title">%s</title>
<desc id="desc">%s</desc>
%s<rect width="%d" height="%d" fill="#fff"/>
%s</svg>
`, width, s.height, width, s.height, html.EscapeString(c.Title), html.EscapeString(c.Sentence), style, width, s.height, s.String())
}

// wrap breaks a text into lines of so many characters.
func wrap(text string, most int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line+" "+word)) > most {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// Bar is a category's value.
type Bar struct {
	Name  string
	Value float64
	Ink   int // the same number has the same colour in all charts
}

// Group is bars that belong together; its name may be empty.
type Group struct {
	Name string
	Bars []Bar
}

// Bars draws groups of bars from nought, each with its name before it and its value after it.
func Bars(c Chart, groups []Group) string {
	s, widest, most := new(sheet), 0, 0.0
	for _, g := range groups {
		for _, b := range g.Bars {
			widest, most = max(widest, len([]rune(b.Name))), max(most, b.Value)
		}
	}
	y, left := s.begin(c), float64(margin+widest*character+10)
	room := width - margin - left - 9*character // the longest value
	for _, g := range groups {
		if g.Name != "" {
			y += row
			s.text("group", margin, y+4, "%s", g.Name)
			y += 8
		}
		for _, b := range g.Bars {
			long := max(1, room*b.Value/most)
			fmt.Fprintf(s, `<rect x="%.0f" y="%.1f" width="%.1f" height="14" fill="%s"/>`+"\n", left, y+4, long, inks[b.Ink%len(inks)].colour)
			s.text("end", left-8, y+15, "%s", b.Name)
			s.text("value", left+long+6, y+15, "%s", Number(b.Value))
			y += row
		}
	}
	return s.end(c, y)
}

// Number is a number as people write it: three digits that count, thousands apart.
func Number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := strconv.FormatFloat(v, 'f', min(digits, 4), 64)
	whole, part, broken := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if part = strings.TrimRight(part, "0"); !broken || part == "" {
		return whole
	}
	return whole + "." + part
}

// apart moves marks down, and where that leads beyond the bottom up again, until each has room for a line of text.
func apart(at []float64, bottom float64) []float64 {
	order := make([]int, len(at))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, at[a]-at[b])) })
	moved := slices.Clone(at)
	for n, i := range order {
		if n > 0 {
			moved[i] = max(moved[i], moved[order[n-1]]+row-3)
		}
	}
	for n := len(order) - 1; n >= 0; n-- {
		limit := bottom
		if n < len(order)-1 {
			limit = moved[order[n+1]] - row + 3
		}
		moved[order[n]] = min(moved[order[n]], limit)
	}
	return moved
}
