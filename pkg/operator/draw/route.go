package draw

import (
	"cmp"
	"slices"

	"github.com/trestle-cni/trestle/pkg/order"
)

// port is where a wire meets a box from above.
func (l *layout) port(s sink) point {
	r, b := l.at[s.to], *l.box[s.to]
	if s.to == l.router && s.direct { // which is below all uplinks
		return point{l.at[s.edge.From].mid(), r.y}
	}
	x := r.mid()
	if b.Kind == Filter || b.Kind == Bridge { // right of the lane's name
		if a := l.laneOf(s.to); a != nil {
			x = max(x, r.x+l.nameWidth(a)+l.ports[s.to]*l.m.portGap()/2+l.m.gapX/2)
		}
	}
	return point{x + s.slot*l.m.portGap() - (l.ports[s.to]-1)*l.m.portGap()/2, l.m.top(b, r)}
}

// next gives a wire a line of its own in the channel.
func (l *layout) next(lines map[int]int, channel int) int {
	y := lines[channel]
	lines[channel] += l.m.track
	return y
}

func (l *layout) commonX(slot int) int { return l.m.gapX + (slot+1)*l.m.track }

func (a *lane) gutterX(slot int, m metric) int { return a.x + m.frame + (slot+1)*m.track }

// run is where a wire runs across a channel: from the leftmost to the rightmost x.
type run struct{ y, left, right int }

// router draws one net.
type router struct {
	*layout
	n    *net
	w    wire
	runs map[int]*run
}

// reach makes the wire run across the channel as far as x, and returns where.
func (r *router) reach(channel, x int) (y int) {
	if r.runs[channel] == nil {
		r.runs[channel] = &run{r.next(r.yWire, channel), x, x}
	}
	a := r.runs[channel]
	a.left, a.right = min(a.left, x), max(a.right, x)
	return a.y
}

// route draws one net: down to each box, across to where it comes down, and in a gutter from one channel to the next.
func (l *layout) route(n *net) {
	r := &router{layout: l, n: n, w: wire{box: n.from}, runs: map[int]*run{}}
	own, start := l.laneOf(n.from), 0
	if n.driver {
		start = l.m.bottom(*l.box[n.from], l.at[n.from])
	}
	var lane, common []int // where the parts in the gutters meet those across
	for _, s := range n.sinks {
		p := l.port(s)
		r.w.ends = append(r.w.ends, s.to)
		y := start
		if !s.direct {
			y = r.reach(l.row[s.to], p.x)
			r.w.joints = append(r.w.joints, point{p.x, y})
		}
		switch {
		case s.direct:
		case !s.common:
			lane = append(lane, r.reach(l.row[s.to], own.gutterX(n.lane, l.m)))
		case n.common >= 0:
			common = append(common, r.reach(l.row[s.to], l.commonX(n.common)))
		}
		r.w.down(p.x, y, p.y, s.edge.State)
	}
	if len(lane) > 0 {
		r.w.trunk(own.gutterX(n.lane, l.m), append(lane, start))
	}
	if n.common >= 0 {
		r.w.trunk(l.commonX(n.common), append(common, l.depart(n, &r.w, start)...))
	}
	r.w.across(r.runs)
	l.wires = append(l.wires, r.w)
}

// depart brings the wire from its box to the common gutter: the host stands above it, others leave by the channel below them.
func (l *layout) depart(n *net, w *wire, start int) []int {
	switch {
	case !n.driver:
		return nil
	case n.from == l.router:
		return []int{start}
	}
	x := l.at[n.from].x + l.m.track
	if a := l.laneOf(n.from); a != nil {
		x = a.gutterX(n.exit, l.m)
	}
	y := l.next(l.yLeave, l.row[n.from]+1)
	w.down(x, start, y, Normal)
	w.pieces = append(w.pieces, piece{l.commonX(n.common), y, x, y, Normal})
	return []int{y}
}

func (w *wire) down(x, y1, y2 int, state State) {
	w.pieces = append(w.pieces, piece{x, min(y1, y2), x, max(y1, y2), state})
}

// trunk runs through all heights.
func (w *wire) trunk(x int, ys []int) {
	w.down(x, slices.Min(ys), slices.Max(ys), Normal)
	for _, y := range ys {
		w.joints = append(w.joints, point{x, y})
	}
}

// across adds the runs, and leaves of the joints those where three parts meet.
func (w *wire) across(runs map[int]*run) {
	for _, channel := range order.Keys(runs, cmp.Compare[int]) {
		r := runs[channel]
		w.pieces = append(w.pieces, piece{r.left, r.y, r.right, r.y, Normal})
	}
	w.joints = slices.DeleteFunc(w.joints, func(p point) bool {
		arms := 0
		for _, s := range w.pieces {
			switch {
			case s.y1 == s.y2 && s.y1 == p.y:
				arms += arm(p.x, s.x1, s.x2)
			case s.x1 == s.x2 && s.x1 == p.x:
				arms += arm(p.y, s.y1, s.y2)
			}
		}
		return arms < 3
	})
	order.By(w.joints, func(a, b point) int {
		if a.y != b.y {
			return a.y - b.y
		}
		return a.x - b.x
	})
	w.joints = slices.Compact(w.joints)
}

// arm counts in how many directions a piece from a to b goes on at v.
func arm(v, a, b int) int {
	n := 0
	if a <= v && v < b {
		n++
	}
	if a < v && v <= b {
		n++
	}
	return n
}
