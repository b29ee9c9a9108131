package draw

import "strings"

// Terminal is what a picture in text is for.
type Terminal struct {
	Width int  // in columns; a picture whose widest box does not fit is wider
	ASCII bool // no UTF-8
	Color bool
}

// metric measures in cells.
func (t Terminal) metric() metric {
	return metric{
		width: func(s string, _ role) int { return Columns(s) }, line: 1, padX: 1, border: 1, gapX: 2, gapY: 1, track: 1, frame: 1,
		longest: 28, bare: true, wide: max(t.Width, 40) - 4, escapeLeftward: true,
		legend: map[State]string{Broken: "double border: ", Leaked: "dotted border: "},
	}
}

// Text draws the picture with the box drawing characters, or with plain ASCII.
func (p Picture) Text(t Terminal) string {
	s := place(p, t.metric())
	g := newGrid(s.w, s.h)
	for _, b := range s.shapes {
		if !b.bare {
			g.box(b.rect, b.State)
		}
		g.texts(b.texts)
	}
	for i, w := range s.wires {
		for _, piece := range w.pieces {
			g.wire(i+1, piece)
		}
	}
	g.texts(s.texts)
	return strings.Trim(g.print(t), "\n") + "\n"
}

// grid is a terminal's cells.
type grid struct {
	w, h  int
	cells []ink
}

// ink is what is in one cell: text, or lines that go out of it in some directions.
type ink struct {
	text       string
	taken      bool // by the wide character on its left
	arms       arms
	down, over int // the wires that run downwards and across here; 0: none
	border     bool
	state      State
	strong     bool
}

// arms is a set of directions.
type arms uint8

const (
	north arms = 1 << iota
	east
	south
	west
)

func newGrid(w, h int) *grid { return &grid{w: w, h: h, cells: make([]ink, w*h)} }

func (g *grid) at(x, y int) *ink {
	if x < 0 || y < 0 || x >= g.w || y >= g.h {
		return &ink{} // what is beyond the edge is not seen
	}
	return &g.cells[y*g.w+x]
}

func (g *grid) line(x1, y1, x2, y2 int, mark func(*ink)) {
	for x := x1; x <= x2; x++ {
		for y := y1; y <= y2; y++ {
			c := g.at(x, y)
			mark(c)
			if x > x1 {
				c.arms |= west
			}
			if x < x2 {
				c.arms |= east
			}
			if y > y1 {
				c.arms |= north
			}
			if y < y2 {
				c.arms |= south
			}
		}
	}
}

func (g *grid) box(r rect, state State) {
	x, y := r.x+r.w-1, r.y+r.h-1
	mark := func(c *ink) { c.border, c.state = true, state }
	g.line(r.x, r.y, x, r.y, mark)
	g.line(r.x, y, x, y, mark)
	g.line(r.x, r.y, r.x, y, mark)
	g.line(x, r.y, x, y, mark)
}

func (g *grid) wire(id int, p piece) {
	g.line(p.x1, p.y1, p.x2, p.y2, func(c *ink) {
		if !c.border && c.state == Normal {
			c.state = p.state
		}
		if p.x1 == p.x2 {
			c.down = id
		} else {
			c.over = id
		}
	})
}

func (g *grid) texts(texts []text) {
	for _, t := range texts {
		x := t.x
		for _, r := range t.s {
			switch n := Columns(string(r)); n {
			case 0:
				g.at(x-1, t.y).text += string(r)
			default:
				*g.at(x, t.y) = ink{text: string(r), state: t.state, strong: t.role == headText || t.role == titleText || t.role == laneText}
				if n == 2 {
					*g.at(x+1, t.y) = ink{taken: true}
				}
				x += n
			}
		}
	}
}

// print writes the cells line by line, with nothing at the ends of lines.
func (g *grid) print(t Terminal) string {
	var out strings.Builder
	for y := range g.h {
		row, style, blank := strings.Builder{}, "", 0
		for x := range g.w {
			c := g.at(x, y)
			if c.taken {
				continue
			}
			glyph := c.glyph(t.ASCII)
			if glyph == " " {
				blank++
				continue
			}
			row.WriteString(strings.Repeat(" ", blank))
			blank = 0
			if next := c.style(); t.Color && next != style {
				row.WriteString("\x1b[0" + next + "m")
				style = next
			}
			row.WriteString(glyph)
		}
		if style != "" {
			row.WriteString("\x1b[0m")
		}
		out.WriteString(row.String() + "\n")
	}
	return out.String()
}

// style is the cell's colour, as the parameters of an escape sequence (ECMA-48, 8.3.117).
func (c *ink) style() string {
	style := map[State]string{Broken: ";31", Leaked: ";35", Foreign: ";2"}[c.state]
	if c.strong {
		style += ";1"
	}
	return style
}
