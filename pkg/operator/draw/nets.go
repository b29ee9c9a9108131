package draw

import "slices"

// net is the edges from one box, which are drawn as one wire that branches.
type net struct {
	from   string
	driver bool // the wire leaves the box downwards; otherwise it arrives there from above, as at all others
	sinks  []sink
	exit   int   // slot of the lane's gutter by which it leaves a bar for the common gutter; -1: none
	lane   int   // slot of its lane's gutter in which it runs down; -1: none
	common int   // slot of the common gutter; -1: none
	leaves bool  // it gets to the common gutter by the channel below its box
	runs   []int // channels in which it runs across to what it leads to
}

type sink struct {
	edge   Edge
	to     string
	slot   int // among the wires that arrive there
	direct bool
	common bool
}

// collectNets gathers the edges by the box that they come from.
func (l *layout) collectNets() {
	byBox := map[string]*net{}
	covered := l.covered()
	for _, e := range l.p.Edges {
		if !l.isDrawn(e) || l.isPair(e) || covered[e.From] || covered[e.To] {
			continue
		}
		n := byBox[e.From]
		if n == nil {
			n = &net{from: e.From, driver: l.cellOf[e.From] == "", exit: -1, lane: -1, common: -1}
			byBox[e.From] = n
			l.nets = append(l.nets, n)
			if !n.driver {
				n.sinks = append(n.sinks, l.arrive(e, e.From))
			}
		}
		n.sinks = append(n.sinks, l.arrive(e, e.To))
	}
}

// isDrawn is true for edges that lead downwards, and for those between interfaces of two containers. The host has none from above but its
// uplinks.
func (l *layout) isDrawn(e Edge) bool {
	order := []Kind{Outside, Uplink, Router, Filter, Bridge, HostEnd, Namespace, Interface}
	from, to := slices.Index(order, l.kind(e.From)), slices.Index(order, l.kind(e.To))
	switch {
	case from < 0 || to < 0 || e.From == e.To:
		return false
	case order[to] == Router:
		return order[from] == Uplink
	}
	return from < to || order[from] == Interface && order[to] == Interface
}

// covered says where no wire gets from above: to an interface below its host end, and to a namespace whose upper edge has others.
func (l *layout) covered() map[string]bool {
	covered := map[string]bool{}
	for id, c := range l.cells {
		covered[id] = l.kind(id) == Namespace && len(c.ends) > 0
		for _, e := range c.ends {
			if e.host != "" && e.inner != "" {
				covered[e.inner] = true
			}
		}
	}
	return covered
}

func (l *layout) arrive(e Edge, to string) sink {
	l.ports[to]++
	return sink{edge: e, to: to, slot: l.ports[to] - 1}
}

// isPair is true for the edge between a host end and what is below it.
func (l *layout) isPair(e Edge) bool { return l.pairs[e.From] == e }

// labelWidth is the room that the label of the wire to a box takes. Where several wires arrive there is none.
func (l *layout) labelWidth(id string) int {
	if s := l.label(id); s != "" {
		return l.m.width(s, labelText)
	}
	return 0
}

func (l *layout) label(id string) string { return l.labels[id] }

// collectLabels cuts the labels of the wires to what there is room for.
func (l *layout) collectLabels() {
	for _, n := range l.nets {
		for _, s := range n.sinks {
			if l.ports[s.to] == 1 && s.to != n.from && l.kind(s.to) != Router {
				l.labels[s.to] = short(l.m.clean(s.edge.Label), l.m.longest)
			}
		}
	}
}

// size is what a box takes up for its text and the wires that arrive at it.
func (l *layout) size(id string) (w, h int) {
	w, h = l.m.size(*l.box[id])
	if l.ports[id] > 1 {
		w = odd(max(w, (l.ports[id]+1)*l.m.portGap()))
	}
	return w, h
}

// classify finds for every wire the way by which it goes: straight down, down its lane's gutter, or down the common one.
func (l *layout) classify() {
	for _, n := range l.nets {
		own := l.laneOf(n.from)
		for i := range n.sinks {
			s := &n.sinks[i]
			to := l.laneOf(s.to)
			s.direct = n.driver && l.isDirect(n, s)
			if s.direct {
				continue
			}
			n.run(l.row[s.to])
			s.common = !n.driver || own == nil || to == nil || own.band != to.band || l.row[s.to] <= l.row[n.from] || own.bars[len(own.bars)-1] != n.from
			if !s.common && n.lane < 0 {
				n.lane = own.slot()
			}
		}
		l.leave(n, own)
	}
	for _, n := range l.nets { // the host stands above the last place of the common gutter, if it has that
		if n.from == l.router && n.common >= 0 {
			for _, other := range l.nets {
				if other.common > n.common {
					other.common--
				}
			}
			n.common, l.hostRight = l.left-1, true
		}
	}
}

// leave gives the wire what it needs to get to the common gutter.
func (l *layout) leave(n *net, own *lane) {
	if !slices.ContainsFunc(n.sinks, func(s sink) bool { return s.common && !s.direct }) {
		return
	}
	if !n.driver && len(n.runs) == 1 {
		return // side by side: one run joins them
	}
	n.common = l.left
	l.left++
	if n.driver && n.from != l.router {
		n.leaves = true
		if own != nil {
			n.exit = own.slot()
		}
	}
}

func (n *net) run(channel int) {
	if !slices.Contains(n.runs, channel) {
		n.runs = append(n.runs, channel)
	}
}

func (a *lane) slot() int {
	a.tracks++
	return a.tracks - 1
}

func (l *layout) laneOf(id string) *lane {
	if cell := l.cellOf[id]; cell != "" {
		id = cell
	}
	b := l.box[id]
	if b.Kind != Filter && b.Kind != Bridge && l.cells[id] == nil {
		return nil
	}
	for _, a := range l.lanes {
		if a.name == b.Lane {
			return a
		}
	}
	return nil
}

// isDirect is true where nothing can be between the two boxes, and the upper one is as wide as the lower one at least.
func (l *layout) isDirect(n *net, s *sink) bool {
	from, to := l.kind(n.from), l.kind(s.to)
	lane := l.laneOf(s.to)
	switch {
	case from == Outside && to == Uplink:
		return slices.ContainsFunc(l.header, func(c column) bool { return c.outside == n.from && slices.Contains(c.uplinks, s.to) })
	case from == Uplink && s.to == l.router:
		return true
	case lane == nil:
		return false
	case n.from == l.router:
		return lane.band == 0 && l.first(lane, s.to)
	default:
		return l.laneOf(n.from) == lane && l.follows(lane, n.from, s.to)
	}
}

// first is true for the uppermost boxes of a lane.
func (l *layout) first(a *lane, id string) bool {
	if len(a.bars) > 0 {
		return a.bars[0] == id
	}
	c := l.cells[l.cellOf[id]]
	return c != nil && c.row == 0
}

// follows is true for a bar and what is right below it.
func (l *layout) follows(a *lane, upper, lower string) bool {
	i := slices.Index(a.bars, upper)
	switch {
	case i < 0:
		return false
	case i+1 < len(a.bars):
		return a.bars[i+1] == lower
	}
	c := l.cells[l.cellOf[lower]]
	return c != nil && c.row == 0
}
