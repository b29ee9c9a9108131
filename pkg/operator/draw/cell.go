package draw

// cell is a container with the host ends of its interfaces above it; or one of the two without the other.
type cell struct {
	id   string
	lane string
	ends []end
	row  int // of its lane
	col  int
	w    int
	// upper and lower are the heights of what is above the namespace's upper edge, and below it.
	upper, lower int
}

// end is a host end, the interface below it, or both.
type end struct {
	host, inner string
	state       State
}

// measureCell finds out how much room the cell takes, above its namespace's upper edge and below it.
func (l *layout) measureCell(c *cell) {
	region, lower := -l.m.gapX, 0
	for _, e := range c.ends {
		region += l.endWidth(e) + l.m.gapX
		if e.host != "" {
			_, h := l.size(e.host)
			c.upper = max(c.upper, h+l.m.gapY)
		}
		if e.inner != "" {
			_, h := l.size(e.inner)
			lower = max(lower, h+l.m.padY)
		}
	}
	c.w = odd(max(region, 0))
	if b := l.box[c.id]; b.Kind == Namespace {
		w, h := l.size(b.ID)
		w = max(w, 2*(l.labelWidth(c.id)+l.m.gapX), (l.ports[c.id]+1)*l.m.portGap())
		c.w, c.lower = odd(max(w, c.w+2*(l.m.padX+l.m.border))), lower+h
	}
}

// endWidth is the room for one interface: the wider of its two ends, and for labels beside the wire.
func (l *layout) endWidth(e end) int {
	w := 0
	for _, id := range []string{e.host, e.inner} {
		if id != "" {
			own, _ := l.size(id)
			w = max(w, own, 2*(l.labelWidth(id)+l.m.gapX), (l.ports[id]+1)*l.m.portGap())
		}
	}
	return odd(w)
}

// placeCell puts the cell's boxes where they belong, with the wires between host ends and interfaces.
func (l *layout) placeCell(c *cell, x, y int) {
	edge := y + l.upper[l.row[c.id]]
	region := -l.m.gapX
	for _, e := range c.ends {
		region += l.endWidth(e) + l.m.gapX
	}
	if l.box[c.id].Kind == Namespace {
		l.at[c.id] = rect{x, edge, c.w, c.lower}
	}
	left := x + (c.w-max(region, 0))/2
	for _, e := range c.ends {
		w := l.endWidth(e)
		if e.inner != "" {
			own, h := l.size(e.inner)
			l.at[e.inner] = rect{left + w/2 - own/2, edge + l.m.padY + l.m.border, own, h}
		}
		if e.host != "" {
			own, h := l.size(e.host)
			l.at[e.host] = rect{left + w/2 - own/2, edge - l.m.gapY - h, own, h}
		}
		l.pair(c, e, left+w/2)
		left += w + l.m.gapX
	}
}

// pair draws the wire from a host end down to its interface, or to the namespace where the interface is not known.
func (l *layout) pair(c *cell, e end, x int) {
	if e.host == "" || l.box[c.id].Kind != Namespace {
		return
	}
	target := e.inner
	if target == "" || l.m.bare {
		target = c.id
	}
	y1, y2 := l.m.bottom(*l.box[e.host], l.at[e.host]), l.m.top(*l.box[target], l.at[target])
	end := e.inner
	if end == "" {
		end = c.id
	}
	l.wires = append(l.wires, wire{box: e.host, ends: []string{end}, pieces: []piece{{x, y1, x, y2, e.state}}})
}
