// Package draw makes a picture of a host's container networking: the outside world on top, then uplinks, the host that routes, what the
// packet filter does for a network, bridges, the host ends of veth pairs, and at the bottom the containers with their interfaces.
//
// A Picture is plain data. One layout places it, for a terminal's cells as for pixels, and each format is one short writer.
package draw

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/keys"
)

// Kind says what a box is, and so at which height it is drawn.
type Kind string

// The kinds, from the top of the picture to its bottom.
const (
	Outside   Kind = "outside"   // where a default route leads
	Uplink    Kind = "uplink"    // a link of the host that leads there
	Router    Kind = "router"    // the host itself, which routes between its links
	Filter    Kind = "filter"    // what the packet filter does for one network
	Bridge    Kind = "bridge"    // a bridge of the host
	HostEnd   Kind = "host-end"  // the host's end of a veth pair, or any other link of the host that no container holds
	Namespace Kind = "namespace" // a container's network namespace
	Interface Kind = "interface" // a link inside such a namespace
)

// State says how a box or an edge is.
type State string

// The states. The zero State is that of what is ours and as it should be.
const (
	Normal  State = ""
	Broken  State = "broken"  // not as its plugin made it
	Leaked  State = "leaked"  // nobody is left who would remove it
	Foreign State = "foreign" // not ours: the runtime's, another plugin's, hand-made
)

// Line is one line of text in a box. About names the box that it tells of, if that is another one: it goes where that box goes.
type Line struct {
	Text  string `json:"text"`
	About string `json:"about,omitempty"`
	Sort  Sort   `json:"-"`
}

// Sort is one of the sorts of lines of which a box may have very many.
type Sort string

// The sorts: ports are told one by one as long as there is room, masqueraded addresses where there are few.
const (
	Ports  Sort = "ports"
	Masked Sort = "masked"
)

// Brief leaves of each sort of lines as many as a box has room for, and says how many more there are. What is asked for by Focus comes before.
func (p Picture) Brief() Picture {
	p.Boxes = slices.Clone(p.Boxes)
	for i, b := range p.Boxes {
		p.Boxes[i].Lines = brief(brief(b.Lines, Ports, 6, 5, "and %d more ports"), Masked, 3, 0, "masquerade %d addresses")
	}
	return p
}

// brief keeps so many lines of the sort, if there are more than the most.
func brief(lines []Line, sort Sort, most, keep int, rest string) (out []Line) {
	all, seen := 0, 0
	for _, l := range lines {
		if l.Sort == sort {
			all++
		}
	}
	if all <= most {
		return lines
	}
	for _, l := range lines {
		switch {
		case l.Sort != sort || seen < keep:
			out = append(out, l)
		case seen == keep:
			out = append(out, Line{Text: fmt.Sprintf(rest, all-keep)})
		}
		if l.Sort == sort {
			seen++
		}
	}
	return out
}

// Box is one thing that is drawn.
type Box struct {
	ID    string   `json:"id"` // unique in the picture, and stable from one reading of the host to the next
	Kind  Kind     `json:"kind"`
	Lane  string   `json:"lane,omitempty"` // the network that it belongs to; empty for the host's own
	In    string   `json:"in,omitempty"`   // the namespace that an interface is in
	Title string   `json:"title"`          // its first line of text
	Lines []Line   `json:"lines,omitempty"`
	State State    `json:"state,omitempty"` // absent for what is ours and as it should be
	Why   string   `json:"why,omitempty"`   // what is wrong, or whose it is, in a few words
	Names []string `json:"names,omitempty"` // other names by which a reader may look for it; they are not drawn
}

// Edge joins two boxes, the upper one first.
type Edge struct {
	From  string `json:"from"` // a box's id
	To    string `json:"to"`
	Label string `json:"label,omitempty"`
	State State  `json:"state,omitempty"`
}

// Picture is all that is drawn. A layout draws the edges that lead downwards in the order of kinds, or from one interface to another; where
// an interface has its host end above it, or a namespace something in it, no other edge gets there.
type Picture struct {
	Title string   `json:"title"`
	Boxes []Box    `json:"boxes"`
	Edges []Edge   `json:"edges"`
	Notes []string `json:"notes,omitempty"` // what the picture leaves out, and why
}

// JSON writes the picture as data.
func (p Picture) JSON() string {
	p.Boxes, p.Edges = append([]Box{}, p.Boxes...), append([]Edge{}, p.Edges...) // a list is never null
	text, _ := json.MarshalIndent(p, "", "  ")                                   // strings alone: always has a JSON form
	return string(keys.Plain(text)) + "\n"
}

// lanes lists the networks in the order in which they first appear.
func (p Picture) lanes() []string {
	var names []string
	for _, b := range p.Boxes {
		if b.Lane != "" && !slices.Contains(names, b.Lane) {
			names = append(names, b.Lane)
		}
	}
	return names
}

// word is the state in words, with its reason.
func (b Box) word() string {
	word := string(b.State)
	if b.State == Foreign {
		word = "not ours"
	}
	if b.State == Normal || b.Why == "" {
		return word + b.Why
	}
	return word + ": " + b.Why
}

// keep leaves the boxes that the function wants, with what is in them, the edges between them and the lines about them.
func (p Picture) keep(wanted func(Box) bool) Picture {
	kept := map[string]bool{}
	var boxes []Box
	for _, b := range p.Boxes {
		if kept[b.ID] = wanted(b); kept[b.ID] {
			boxes = append(boxes, b)
		}
	}
	for i, b := range boxes {
		boxes[i].Lines = slices.DeleteFunc(slices.Clone(b.Lines), func(l Line) bool { return l.About != "" && !kept[l.About] })
	}
	p.Boxes = boxes
	p.Edges = slices.DeleteFunc(slices.Clone(p.Edges), func(e Edge) bool { return !kept[e.From] || !kept[e.To] })
	return p
}
