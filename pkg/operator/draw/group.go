package draw

import (
	"fmt"
	"strings"
)

// Legible is the number of containers up to which each of them is drawn.
const Legible = 200

// Group counts what is well in one box a network, if the picture has more than most containers; what is broken or leaked is
// still drawn one by one, most of each network at the most.
func (p Picture) Group(most int) Picture {
	cells := p.cellOf()
	ill, isContainer := map[string]bool{}, map[string]bool{}
	for _, b := range p.Boxes {
		if cell := cells[b.ID]; cell != "" {
			isContainer[cell] = isContainer[cell] || b.Kind == Namespace
			ill[cell] = ill[cell] || b.State == Broken || b.State == Leaked
		}
	}
	containers := 0
	for _, is := range isContainer {
		if is {
			containers++
		}
	}
	if containers <= most {
		return p
	}
	crowds, gone := map[string]*crowd{}, map[string]bool{}
	for _, b := range p.Boxes {
		if cells[b.ID] != b.ID {
			continue
		}
		if crowds[b.Lane] == nil {
			crowds[b.Lane] = &crowd{lane: b.Lane}
		}
		gone[b.ID] = crowds[b.Lane].add(b, ill[b.ID], most)
	}
	return p.gather(cells, gone, crowds)
}

// gather replaces the boxes that are gone by one a lane, with the edges from what they hung on.
func (p Picture) gather(cells map[string]string, gone map[string]bool, crowds map[string]*crowd) Picture {
	out := p.keep(func(b Box) bool { return !gone[cells[b.ID]] })
	for _, lane := range p.lanes() {
		if c := crowds[lane]; c != nil && c.hidden > 0 {
			out.Boxes = append(out.Boxes, c.box())
		}
	}
	lane, done := map[string]string{}, map[Edge]bool{}
	for _, b := range p.Boxes {
		lane[b.ID] = b.Lane
	}
	for _, e := range p.Edges {
		if c := cells[e.To]; gone[c] && cells[e.From] == "" {
			if tie := (Edge{From: e.From, To: "crowd:" + lane[c]}); !done[tie] {
				done[tie] = true
				out.Edges = append(out.Edges, tie)
			}
		}
	}
	return out
}

// pairs finds what is below each host end: one interface, which has no other host end, or a namespace of which no more is known.
func (p Picture) pairs() map[string]Edge {
	kinds := map[string]Kind{}
	for _, b := range p.Boxes {
		kinds[b.ID] = b.Kind
	}
	pairs, taken := map[string]Edge{}, map[string]bool{}
	for _, e := range p.Edges {
		free := kinds[e.To] == Namespace || kinds[e.To] == Interface && !taken[e.To]
		if _, has := pairs[e.From]; kinds[e.From] == HostEnd && free && !has {
			pairs[e.From], taken[e.To] = e, true
		}
	}
	return pairs
}

// cellOf says of each box that stands below the bridges which container, or which link without one, it is drawn with.
func (p Picture) cellOf() map[string]string {
	cells := map[string]string{}
	for _, b := range p.Boxes {
		switch b.Kind {
		case Namespace, HostEnd:
			cells[b.ID] = b.ID
		case Interface:
			cells[b.ID] = b.In
		}
	}
	for host, e := range p.pairs() {
		cells[host] = cells[e.To]
	}
	return cells
}

// crowd counts the containers of one lane.
type crowd struct {
	lane                                    string
	all, hidden, broken, leaked, ill, loose int
}

// add counts one, and says whether it is no longer drawn by itself.
func (c *crowd) add(b Box, ill bool, most int) bool {
	if b.Kind == Namespace {
		c.all++
	}
	switch {
	case b.State == Leaked:
		c.leaked++
	case ill:
		c.broken++
	}
	if ill && c.ill < most {
		c.ill++
		return false
	}
	c.hidden++
	if b.Kind != Namespace {
		c.loose++
	}
	return true
}

func (c *crowd) box() Box {
	b := Box{ID: "crowd:" + c.lane, Kind: Namespace, Lane: c.lane, Title: fmt.Sprintf("%d containers", c.all)}
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{c.leaked, "leaked"}, {c.broken, "broken"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	if c.loose > 0 {
		b.Lines = append(b.Lines, Line{Text: fmt.Sprintf("%d other links", c.loose)})
	}
	if len(parts) > 0 {
		b.Lines = append(b.Lines, Line{Text: strings.Join(parts, ", ")})
	}
	return b
}
