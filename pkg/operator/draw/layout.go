package draw

import (
	"slices"

	"github.com/trestle-cni/trestle/pkg/order"
)

// layout places a picture. Everything stands in rows: the outside, the uplinks, the host, and for each band of networks the packet filter,
// the bridges and the containers. Between two rows is a channel for wires that run across, between lanes and before the first one a gutter for
// wires that run down, so that no wire ever needs a place that a box or a label has. Networks stand side by side as long as the width allows
// that, then in further bands.
type layout struct {
	m      metric
	p      Picture
	box    map[string]*Box
	pairs  map[string]Edge
	cellOf map[string]string
	cells  map[string]*cell
	lanes  []*lane
	header []column
	router string

	rows   int
	row    map[string]int // of a box: its row
	at     map[string]rect
	upper  []int          // of a row: from its top to the upper edge of its namespaces
	ports  map[string]int // wires that arrive at a box
	nets   []*net
	labels map[string]string // of the wires that arrive at a box
	wires  []wire

	left      int         // wires in the common gutter, before the first lane
	hostRight bool        // the last of them is the host's
	yTop      []int       // of a row
	yWire     map[int]int // of a channel: where its next wire runs
	yLeave    map[int]int // of a channel: where the next wire runs that comes from above and goes to the common gutter
}

// lane is one network: bars across it, and the cells below them.
type lane struct {
	name         string
	bars         []string
	cells        []*cell
	cols, rows   int
	band         int
	tracks       int // wires that run down inside it, left of its cells
	x, w         int
	columnWidths []int
}

// column is a place of the outside, and the uplinks that lead there.
type column struct {
	outside string
	uplinks []string
	w       int
}

// place lays the picture out. A picture that is to have a shape is tried at growing widths until it is not too tall.
func place(p Picture, m metric) sheet {
	for {
		s := newLayout(p, m).sheet()
		if m.ratio == 0 || float64(s.h) <= m.ratio*float64(s.w) || s.w < m.wide*3/4 {
			return s
		}
		m.wide += m.wide / 8
	}
}

func newLayout(p Picture, m metric) *layout {
	l := &layout{
		m: m, p: p, box: map[string]*Box{}, pairs: p.pairs(), cellOf: p.cellOf(), cells: map[string]*cell{}, row: map[string]int{}, at: map[string]rect{},
		ports: map[string]int{}, yWire: map[int]int{}, yLeave: map[int]int{}, labels: map[string]string{},
	}
	for i := range p.Boxes {
		l.box[p.Boxes[i].ID] = &p.Boxes[i]
	}
	l.collectCells()
	l.collectNets()
	l.collectLabels()
	l.collectLanes()
	l.collectHeader()
	l.spread()
	l.number()
	l.classify()
	return l
}

// collectCells finds the containers and what is in them.
func (l *layout) collectCells() {
	for _, b := range l.p.Boxes {
		if id := l.cellOf[b.ID]; id == b.ID {
			l.cells[id] = &cell{id: id, lane: b.Lane}
		}
	}
	above := map[string]end{}
	for _, b := range l.p.Boxes {
		e, has := l.pairs[b.ID]
		switch c := l.cells[l.cellOf[b.ID]]; {
		case has && l.kind(e.To) == Interface:
			above[e.To] = end{host: b.ID, inner: e.To, state: e.State}
		case has || b.Kind == HostEnd:
			c.ends = append(c.ends, end{host: b.ID, state: e.State})
		}
	}
	for _, b := range l.p.Boxes {
		if c := l.cells[b.In]; b.Kind == Interface && c != nil {
			e := above[b.ID]
			e.inner = b.ID
			c.ends = append(c.ends, e)
		}
	}
}

func (l *layout) kind(id string) Kind {
	if b := l.box[id]; b != nil {
		return b.Kind
	}
	return ""
}

// collectLanes sorts bars and cells into the lanes.
func (l *layout) collectLanes() {
	byName := map[string]*lane{}
	of := func(name string) *lane {
		if byName[name] == nil {
			byName[name] = &lane{name: name}
			l.lanes = append(l.lanes, byName[name])
		}
		return byName[name]
	}
	for _, kind := range []Kind{Filter, Bridge, Namespace, HostEnd} {
		for _, b := range l.p.Boxes {
			switch {
			case b.Kind != kind:
			case kind == Filter || kind == Bridge:
				of(b.Lane).bars = append(of(b.Lane).bars, b.ID)
			case l.cells[b.ID] != nil:
				l.measureCell(l.cells[b.ID])
				of(b.Lane).cells = append(of(b.Lane).cells, l.cells[b.ID])
			}
		}
	}
	names := l.p.lanes()
	order.By(l.lanes, func(a, b *lane) int { return slices.Index(names, a.name) - slices.Index(names, b.name) })
}

// collectHeader finds what stands above the networks.
func (l *layout) collectHeader() {
	placed := map[string]bool{}
	for _, b := range l.p.Boxes {
		if b.Kind == Router && l.router == "" {
			l.router = b.ID
		}
		if b.Kind != Outside {
			continue
		}
		c := column{outside: b.ID}
		for _, e := range l.p.Edges {
			if e.From == b.ID && l.kind(e.To) == Uplink && !placed[e.To] {
				placed[e.To] = true
				c.uplinks = append(c.uplinks, e.To)
			}
		}
		l.header = append(l.header, c)
	}
	for _, b := range l.p.Boxes {
		if b.Kind == Uplink && !placed[b.ID] {
			l.header = append(l.header, column{uplinks: []string{b.ID}})
		}
	}
}
