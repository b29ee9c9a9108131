package draw

import "slices"

// spread decides how many containers stand side by side: as few rows as the width allows. Networks that do not fit side by side even with
// one column each go into further bands.
func (l *layout) spread() {
	most := 1
	for _, a := range l.lanes {
		most = max(most, len(a.cells))
	}
	for rows := 1; rows <= most; rows++ {
		width := 0
		for _, a := range l.lanes {
			a.arrange(rows, l.m)
			l.widen(a)
			width += a.w + l.m.gapX
		}
		if width <= l.m.wide {
			if rows > 1 {
				l.stack(rows)
			}
			return
		}
	}
	l.bands()
}

// stack puts the networks above each other where that is lower than side by side in so many rows. A band has its bars and its name besides.
func (l *layout) stack(rows int) {
	const besides = 2
	l.bands()
	below := 0
	for band, found := 0, true; found; band++ {
		most := 0
		found = false
		for _, a := range l.lanes {
			if a.band == band {
				found, most = true, max(most, a.rows)
			}
		}
		if found {
			below += most + besides
		}
	}
	if below < rows+besides {
		return
	}
	for _, a := range l.lanes {
		a.band = 0
		a.arrange(rows, l.m)
		l.widen(a)
	}
}

// bands fills one band after another.
func (l *layout) bands() {
	band, used := 0, 0
	for _, a := range l.lanes {
		for rows := 1; rows <= max(1, len(a.cells)); rows++ {
			a.arrange(rows, l.m)
			l.widen(a)
			if a.w <= l.m.wide {
				break
			}
		}
		if used > 0 && used+a.w > l.m.wide {
			band, used = band+1, 0
		}
		a.band = band
		used += a.w + l.m.gapX
	}
}

// arrange puts the lane's cells into so many rows, and measures its columns.
func (a *lane) arrange(rows int, m metric) {
	a.cols = max(1, (len(a.cells)+rows-1)/rows)
	a.rows = (len(a.cells) + a.cols - 1) / a.cols
	a.columnWidths = make([]int, min(a.cols, len(a.cells)))
	for i, c := range a.cells {
		c.row, c.col = i/a.cols, i%a.cols
		a.columnWidths[c.col] = max(a.columnWidths[c.col], c.w)
	}
	a.w = -m.gapX
	for _, w := range a.columnWidths {
		a.w += w + m.gapX
	}
	a.w = max(a.w, 0) + 2*m.frame + (max(a.tracks, 2)+1)*m.track
}

// gutter is what a lane keeps free left of its cells: for the wires that run down there or, where no bar is above the cells, for its name,
// so that the wires from above come down beside it.
func (l *layout) gutter(a *lane) int {
	switch {
	case len(a.bars) == 0 && slices.ContainsFunc(a.cells, l.hasWire):
		return l.nameWidth(a)
	case a.tracks == 0:
		return 0
	}
	return (a.tracks + 1) * l.m.track
}

// widen makes room for the lane's bars and its name.
func (l *layout) widen(a *lane) {
	if len(a.bars) == 0 {
		a.w += l.gutter(a)
	}
	for _, id := range a.bars {
		w, _ := l.size(id)
		side := l.labelWidth(id) + l.m.gapX + (l.ports[id]+1)*l.m.portGap()
		a.w = max(a.w, w+2*l.m.frame, l.nameWidth(a)+side+2*l.m.frame+l.m.gapX, 2*side+2*l.m.frame)
		if l.ports[id] > 0 { // a wire comes down in the middle, right of the name
			a.w = max(a.w, 2*(l.nameWidth(a)+l.m.frame+l.m.gapX+l.ports[id]*l.m.portGap()))
		}
	}
	a.w = odd(max(a.w, l.nameWidth(a)+2*l.m.frame))
}

// hasWire says whether a wire comes down to the cell.
func (l *layout) hasWire(c *cell) bool {
	return l.ports[c.id] > 0 || slices.ContainsFunc(c.ends, func(e end) bool { return l.ports[e.host] > 0 || l.ports[e.inner] > 0 })
}

// nameWidth is the room that the lane's name takes, with a gap before what comes right of it.
func (l *layout) nameWidth(a *lane) int {
	if a.name == "" {
		return 0
	}
	return l.m.width(l.name(a), laneText) + l.m.gapX
}

func (l *layout) name(a *lane) string { return short(l.m.clean(a.name), l.m.longest) }

// number gives every box its row. Rows that nothing is in do not exist.
func (l *layout) number() {
	next := func(ids ...string) {
		some := false
		for _, id := range ids {
			if id != "" {
				l.row[id], some = l.rows, true
			}
		}
		if some {
			l.rows++
		}
	}
	var outside, uplinks []string
	for _, c := range l.header {
		outside, uplinks = append(outside, c.outside), append(uplinks, c.uplinks...)
	}
	next(outside...)
	next(uplinks...)
	next(l.router)
	for band, found := 0, true; found; band++ {
		found = l.numberBand(band)
	}
}

// numberBand numbers the rows of one band, and says whether it has a lane. Bars stand right above the containers.
func (l *layout) numberBand(band int) (found bool) {
	bars, rows := 0, 0
	for _, a := range l.lanes {
		if a.band == band {
			found, bars, rows = true, max(bars, len(a.bars)), max(rows, a.rows)
		}
	}
	for _, a := range l.lanes {
		if a.band != band {
			continue
		}
		for i, id := range a.bars {
			l.row[id] = l.rows + bars - len(a.bars) + i
		}
		for _, c := range a.cells {
			l.row[c.id] = l.rows + bars + c.row
			for _, e := range c.ends {
				l.row[e.host], l.row[e.inner] = l.row[c.id], l.row[c.id]
			}
		}
	}
	l.rows += bars + rows
	return found
}
