package chart

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Line is one contestant's values, one for each of the chart's steps; NaN where there is none.
type Line struct {
	Name   string
	Values []float64
	Ink    int
}

// plane is where lines are drawn: steps from left to right, values from below upwards.
type plane struct {
	*sheet
	left, right, top, bottom float64
	low, high                float64
	log                      bool
	steps                    int
}

func (p plane) x(step int) float64 {
	if p.steps < 2 {
		return p.left
	}
	return p.left + 16 + (p.right-p.left-32)*float64(step)/float64(p.steps-1)
}

func (p plane) y(v float64) float64 {
	low, high := p.low, p.high
	if p.log {
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	return p.bottom - (p.bottom-p.top)*(v-low)/(high-low)
}

// Lines draws a line a contestant, with its name and last value at its end. With log equal ratios are equally far apart; else the scale begins with nought.
func Lines(c Chart, across string, steps []string, lines []Line, log bool) string {
	s := new(sheet)
	p := plane{sheet: s, top: s.begin(c) + row/2, log: log, steps: len(steps)}
	p.bottom = p.top + 300
	ticks := p.scale(lines)
	widest, longest := 0, 0
	for _, t := range ticks {
		widest = max(widest, len(Number(t)))
	}
	for _, l := range lines {
		longest = max(longest, len(l.label()))
	}
	p.left, p.right = float64(margin+widest*character+8), float64(width-margin-longest*character-12)
	for _, t := range ticks {
		fmt.Fprintf(s, `<path class="grid" d="M%.0f %.1fH%.0f"/>`+"\n", p.left, p.y(t), p.right)
		s.text("end", p.left-8, p.y(t)+4, "%s", Number(t))
	}
	for i, name := range steps {
		s.text("middle", p.x(i), p.bottom+row, "%s", name)
	}
	s.text("unit middle", (p.left+p.right)/2, p.bottom+2*row, "%s", across)
	for _, l := range lines {
		p.draw(l)
	}
	p.name(lines)
	return s.end(c, p.bottom+2*row+8)
}

// scale chooses the values at both ends, and those that have a number.
func (p *plane) scale(lines []Line) (ticks []float64) {
	p.low, p.high = math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, v := range l.Values {
			if !math.IsNaN(v) {
				p.low, p.high = min(p.low, v), max(p.high, v)
			}
		}
	}
	if !p.log {
		step := math.Pow(10, math.Floor(math.Log10(p.high)))
		p.low, p.high = 0, math.Ceil(p.high*1.1/step)*step
		if p.high/step < 3 {
			step /= 4
		}
		for v := 0.0; v <= p.high*1.001; v += step {
			ticks = append(ticks, v)
		}
		return ticks
	}
	p.low, p.high = p.low/1.3, p.high*1.3
	for decade := math.Pow(10, math.Floor(math.Log10(p.low))); decade <= p.high; decade *= 10 {
		for _, part := range []float64{1, 2, 5} {
			if v := decade * part; v >= p.low && v <= p.high && (part == 1 || p.high/p.low < 300) {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

func (p plane) draw(l Line) {
	var path strings.Builder
	pen := inks[l.Ink%len(inks)]
	for i, v := range l.Values {
		if math.IsNaN(v) {
			continue
		}
		command := "L"
		if path.Len() == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, p.x(i), p.y(v))
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", p.x(i), p.y(v), pen.colour)
	}
	fmt.Fprintf(p, `<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n", path.String(), pen.colour, pen.dashes)
}

// last is the step of the line's last value.
func (l Line) last() int {
	for i := len(l.Values) - 1; i > 0; i-- {
		if !math.IsNaN(l.Values[i]) {
			return i
		}
	}
	return 0
}

func (l Line) label() string { return l.Name + " " + Number(l.Values[l.last()]) }

// name writes the lines' names at their ends, apart from each other where several end at one step.
func (p plane) name(lines []Line) {
	for step := range p.steps {
		ending := slices.DeleteFunc(slices.Clone(lines), func(l Line) bool { return l.last() != step })
		var at []float64
		for _, l := range ending {
			at = append(at, p.y(l.Values[step]))
		}
		for i, y := range apart(p.beside(at, step, lines), p.bottom) {
			x := p.x(step) + 10
			fmt.Fprintf(p, `<path d="M%.0f %.1fL%.0f %.1f" stroke="%s" stroke-width="1"/>`+"\n", x-6, at[i], x+4, y, inks[ending[i].Ink%len(inks)].colour)
			fmt.Fprintf(p, `<text class="label" x="%.0f" y="%.1f" style="fill:%s">%s</text>`+"\n", x+6, y+4, inks[ending[i].Ink%len(inks)].colour, html.EscapeString(ending[i].label()))
		}
	}
}

// beside moves marks that would lie on a line which goes on to the right below it.
func (p plane) beside(at []float64, step int, lines []Line) []float64 {
	moved := slices.Clone(at)
	for _, l := range lines {
		if l.last() <= step || math.IsNaN(l.Values[step]) || math.IsNaN(l.Values[step+1]) {
			continue
		}
		high, low := p.y(l.Values[step]), p.y(l.Values[step+1])
		if high > low {
			high, low = low, high
		}
		for i, y := range moved {
			if y > high-row/2 && y < low+row/2 {
				moved[i] = low + row*3/4
			}
		}
	}
	return moved
}
