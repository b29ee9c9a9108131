package draw

// sheet measures the rows and columns, and puts everything in its place.
func (l *layout) sheet() sheet {
	l.across()
	width := l.width()
	l.center(width)
	l.down()
	l.placeHeader(width)
	for _, a := range l.lanes {
		l.placeLane(a)
	}
	for _, n := range l.nets {
		l.route(n)
	}
	s := sheet{w: width + 2*l.m.gapX, h: l.yTop[l.rows] + l.m.gapY, wires: l.wires}
	for _, a := range l.lanes {
		if a.name != "" {
			s.frames = append(s.frames, l.frame(a))
		}
	}
	for _, b := range l.p.Boxes {
		if r, ok := l.at[b.ID]; ok {
			s.shapes = append(s.shapes, shape{Box: b, rect: r, bare: l.m.isBare(b.Kind), texts: l.inside(b, r)})
		}
	}
	s.texts = l.outside()
	l.caption(&s)
	return s
}

// across gives the lanes their places from left to right.
func (l *layout) across() {
	left := l.margin()
	x, band := left, 0
	for _, a := range l.lanes {
		a.arrange(max(a.rows, 1), l.m)
		l.widen(a)
		if a.band != band {
			x, band = left, a.band
		}
		a.x = x
		x += a.w + l.m.gapX
	}
}

// margin is where the first lane begins: right of the common gutter.
func (l *layout) margin() int {
	if l.left > 0 {
		return l.m.gapX + (l.left+1)*l.m.track
	}
	return l.m.gapX
}

// hostLeft is where the host begins.
func (l *layout) hostLeft() int {
	if l.hostRight {
		return l.commonX(l.left-1) - l.m.track/2
	}
	return l.margin()
}

// width is that of the whole, without its margins.
func (l *layout) width() int {
	right := 0
	for _, a := range l.lanes {
		right = max(right, a.x+a.w)
	}
	head := l.margin()
	for i := range l.header {
		head += l.columnWidth(&l.header[i]) + l.m.gapX
	}
	if l.router != "" {
		w, _ := l.size(l.router)
		right = max(right, l.hostLeft()+w)
	}
	return max(right-l.m.gapX, head-2*l.m.gapX, l.m.width(l.m.clean(l.p.Title), titleText),
		l.m.longest*l.m.width("m", plainText)) // a note needs that at least
}

// center moves the lanes of each band to the middle, where what is above them is wider.
func (l *layout) center(width int) {
	right := map[int]int{}
	for _, a := range l.lanes {
		right[a.band] = max(right[a.band], a.x+a.w)
	}
	for _, a := range l.lanes {
		a.x += (l.m.gapX + width - right[a.band]) / 2
	}
}

// columnWidth is the room for a place outside and its uplinks.
func (l *layout) columnWidth(c *column) int {
	c.w = -l.m.gapX
	for _, id := range c.uplinks {
		c.w += l.single(id) + l.m.gapX
	}
	if c.outside != "" {
		c.w = max(c.w, l.single(c.outside))
	}
	c.w = odd(c.w)
	return c.w
}

// single is the width of a box in the rows above the networks.
func (l *layout) single(id string) int {
	w, _ := l.size(id)
	return odd(max(w, 2*(l.labelWidth(id)+l.m.gapX), (l.ports[id]+1)*l.m.portGap()))
}

// heights measures the rows, and how far below its top each has the upper edges of its namespaces.
func (l *layout) heights() []int {
	heights := make([]int, l.rows)
	for id, row := range l.row {
		if b := l.box[id]; b != nil && l.cellOf[id] == "" {
			_, h := l.size(id)
			heights[row] = max(heights[row], h)
		}
	}
	l.upper = make([]int, l.rows)
	for id, c := range l.cells {
		l.upper[l.row[id]] = max(l.upper[l.row[id]], c.upper)
	}
	for id, c := range l.cells {
		heights[l.row[id]] = max(heights[l.row[id]], l.upper[l.row[id]]+c.lower)
	}
	return heights
}

// channel is what there has to be room for above a row.
type channel struct {
	edge    int  // of the lanes that end above it
	leaving int  // wires from above that get to the common gutter
	tracks  int  // wires that run across to what is below
	words   bool // labels of wires, names of lanes
}

func (l *layout) channels() []channel {
	channels := make([]channel, l.rows+1)
	for _, n := range l.nets {
		for _, row := range n.runs {
			channels[row].tracks++
		}
		if n.leaves {
			channels[l.row[n.from]+1].leaving++
		}
		for _, s := range n.sinks {
			c := &channels[l.row[s.to]]
			c.words = c.words || l.label(s.to) != ""
		}
	}
	for _, a := range l.lanes {
		if a.name != "" {
			c := &channels[l.bandRow(a.band)]
			c.edge, c.words = l.m.frame*min(a.band, 1), true
		}
	}
	return channels
}

// down gives rows and channels their places from top to bottom.
func (l *layout) down() {
	heights := l.heights()
	y := l.m.gapY + l.m.line + l.m.gapY/2 // below the title
	for row, c := range l.channels() {
		y += l.m.gapY + c.edge
		l.yLeave[row] = y
		y += c.leaving * l.m.track // apart: at one x, one may end where another begins
		l.yWire[row] = y
		y += c.tracks * l.m.track
		switch {
		case c.words:
			y += l.m.line + l.m.gapY/2
		case c.tracks+c.leaving > 0:
			y += max(1, l.m.gapY/2) // that a wire is seen to come down
		}
		l.yTop = append(l.yTop, y)
		if row < l.rows {
			y += heights[row]
		}
	}
}

// bandRow is the first row of a band.
func (l *layout) bandRow(band int) int {
	first := l.rows
	for _, a := range l.lanes {
		if a.band != band {
			continue
		}
		for _, id := range a.bars {
			first = min(first, l.row[id])
		}
		for _, c := range a.cells {
			first = min(first, l.row[c.id])
		}
	}
	return first
}

// placeHeader puts the outside and the uplinks in the middle, and the host across the whole width.
func (l *layout) placeHeader(width int) {
	left := l.margin()
	all := -l.m.gapX
	for _, c := range l.header {
		all += c.w + l.m.gapX
	}
	x := left + max(0, (width+l.m.gapX-left-all)/2)
	for _, c := range l.header {
		if c.outside != "" {
			_, h := l.size(c.outside)
			l.at[c.outside] = rect{x, l.yTop[l.row[c.outside]], c.w, h}
		}
		uplink := x + (c.w-l.uplinkWidth(c))/2
		for _, id := range c.uplinks {
			_, h := l.size(id)
			l.at[id] = rect{uplink, l.yTop[l.row[id]], l.single(id), h}
			uplink += l.single(id) + l.m.gapX
		}
		x += c.w + l.m.gapX
	}
	if l.router != "" {
		_, h := l.size(l.router)
		l.at[l.router] = rect{l.hostLeft(), l.yTop[l.row[l.router]], l.m.gapX + width - l.hostLeft(), h}
	}
}

func (l *layout) uplinkWidth(c column) int {
	w := -l.m.gapX
	for _, id := range c.uplinks {
		w += l.single(id) + l.m.gapX
	}
	return max(w, 0)
}

// placeLane puts a lane's bars and cells in their places.
func (l *layout) placeLane(a *lane) {
	for _, id := range a.bars {
		_, h := l.size(id)
		l.at[id] = rect{a.x + l.m.frame, l.yTop[l.row[id]], a.w - 2*l.m.frame, h}
	}
	all := -l.m.gapX
	for _, w := range a.columnWidths {
		all += w + l.m.gapX
	}
	gutter := l.gutter(a)
	left := a.x + l.m.frame + gutter
	left += max(0, (a.w-2*l.m.frame-gutter-all)/2)
	for _, c := range a.cells {
		x := left
		for _, w := range a.columnWidths[:c.col] {
			x += w + l.m.gapX
		}
		l.placeCell(c, x+(a.columnWidths[c.col]-c.w)/2, l.yTop[l.row[c.id]])
	}
}

// frame is the area of a lane: from its name down to its last row.
func (l *layout) frame(a *lane) frame {
	bottom, top := 0, l.yTop[l.bandRow(a.band)]-l.m.line-l.m.gapY/2-l.m.frame/2
	for _, id := range a.bars {
		bottom = max(bottom, l.at[id].y+l.at[id].h)
	}
	for _, c := range a.cells {
		bottom = max(bottom, l.yTop[l.row[c.id]]+l.upper[l.row[c.id]]+c.lower)
	}
	return frame{rect: rect{a.x, top, a.w, bottom + l.m.frame - top}, lane: a.name}
}
