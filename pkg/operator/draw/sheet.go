package draw

import (
	"cmp"
	"strings"
)

// sheet is a picture with everything in its place. Distances are cells of a terminal, or pixels.
type sheet struct {
	w, h   int
	frames []frame
	shapes []shape
	wires  []wire
	texts  []text // what stands in no box: the title, labels of wires, names of lanes, notes
}

type rect struct{ x, y, w, h int }

func (r rect) mid() int { return r.x + r.w/2 }

// frame surrounds what belongs to one network.
type frame struct {
	rect
	lane string
}

// shape is a box in its place. A bare one is its text, without a border.
type shape struct {
	Box
	rect
	bare  bool
	texts []text
}

// wire is the edges from one box: they share a line for as long as they go the same way.
type wire struct {
	box    string   // where they come from
	ends   []string // where they go
	pieces []piece
	joints []point // where the line branches
}

type point struct{ x, y int }

// piece is one straight part of a wire, from left to right or downwards.
type piece struct {
	x1, y1, x2, y2 int
	state          State
}

type role int

const (
	titleText role = iota
	headText       // the first line of a box
	plainText
	wordText // a box's state
	laneText
	labelText
)

// text is a line of text: its left edge and its top.
type text struct {
	rect
	s     string
	role  role
	state State
}

// metric is what a layout needs to know about the paper.
type metric struct {
	width          func(s string, r role) int
	line           int // height of a line of text
	padX, padY     int // between a border and the text inside
	border         int // what a border takes up
	gapX, gapY     int // between two boxes; between a row of boxes and the wires beside it
	track          int // between two wires
	frame          int // between a lane's edge and what is in it
	longest        int // characters of a line of text in a box, at most
	bare           bool
	wide           int // what a picture's width should not exceed
	ratio          float64
	escapeLeftward bool
	legend         map[State]string // how each state looks
}

// portGap is between two wires that arrive at one box.
func (m metric) portGap() int { return max(m.track, 2) }

// clean is the text as it will be shown.
func (m metric) clean(s string) string {
	s = Clean(s)
	if m.escapeLeftward {
		s = escapeLeftward(s)
	}
	return s
}

// content is the lines of text of a box.
func (m metric) content(b Box) []text {
	var texts []text
	add := func(s string, r role, most int) {
		if s != "" {
			s = short(m.clean(s), most)
			texts = append(texts, text{rect: rect{w: m.width(s, r), h: m.line}, s: s, role: r, state: b.State})
		}
	}
	add(cmp.Or(b.Title, b.ID), headText, m.longest)
	for _, l := range b.Lines {
		add(l.Text, plainText, m.longest*3/2)
	}
	for _, s := range m.wrap(b.word(), m.longest) {
		add(s, wordText, m.longest)
	}
	return texts
}

// wrap breaks a sentence into lines of at most so many characters, where its words allow that.
func (m metric) wrap(s string, most int) []string {
	var lines []string
	for _, word := range strings.Fields(s) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= most {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// size is what a box takes up for its own text.
func (m metric) size(b Box) (w, h int) {
	for _, t := range m.content(b) {
		w, h = max(w, t.w), h+m.line
	}
	if m.isBare(b.Kind) {
		return odd(w), h
	}
	return odd(w + 2*(m.padX+m.border)), h + 2*(m.padY+m.border)
}

// odd is the width or one more: what is odd has a middle, and one in the middle of another has the same.
func odd(w int) int { return w | 1 }

func (m metric) isBare(k Kind) bool { return m.bare && (k == HostEnd || k == Interface) }

// top and bottom are where a wire meets a box.
func (m metric) top(b Box, r rect) int {
	if m.isBare(b.Kind) {
		return r.y - m.border
	}
	return r.y
}

func (m metric) bottom(b Box, r rect) int {
	if m.isBare(b.Kind) {
		return r.y + r.h
	}
	return r.y + r.h - m.border
}
