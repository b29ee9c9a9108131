// Package page turns a picture of a host into pages for people: the view of one network context, and everything about one thing. It
// looks at nothing but the picture, and a page is data: what prints it decides how it looks.
package page

import (
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Page is what is known about one thing.
type Page struct {
	Title    string    `json:"title"`
	Sections []Section `json:"sections"`
}

// Section is one aspect: a table, whose head may be empty.
type Section struct {
	Title string   `json:"title"`
	Head  []string `json:"head,omitempty"`
	Rows  []Row    `json:"rows,omitempty"`
}

// Row is one line. All rows of a section have as many cells as its head, where it has one.
type Row struct {
	Cells []string `json:"cells"`
	Mark  Mark     `json:"mark,omitempty"`
}

// Mark makes a row stand out, beside its words.
type Mark string

// The marks of a row.
const (
	Plain   Mark = ""
	Bad     Mark = "bad"     // broken, leaked, failed
	Own     Mark = "own"     // made by Trestle
	Missing Mark = "missing" // of a comparison: only the other has it
	More    Mark = "more"    // of a comparison: the other does not have it
)

func (p *Page) add(s Section) { p.Sections = append(p.Sections, s) }

// row appends a line.
func (s *Section) row(mark Mark, cells ...string) { s.Rows = append(s.Rows, Row{cells, mark}) }

// fact appends a line of two cells, unless there is nothing to say.
func (s *Section) fact(name, value string) {
	if value != "" {
		s.row(Plain, name, value)
	}
}

// of is the mark of what the origin made.
func of(o observe.Origin) Mark {
	if o == observe.Trestle {
		return Own
	}
	return Plain
}

// LinkName is the last part of a link's identifier.
func LinkName(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// elsewhere is a link's name with its namespace, where that is not n.
func elsewhere(h *observe.Host, n *observe.Namespace, id string) string {
	if id == "" {
		return ""
	}
	at := id[:strings.LastIndexByte(id, '/')]
	if other := h.Namespace(at); other != nil && other != n {
		return LinkName(id) + " in " + other.Name
	}
	return LinkName(id)
}

// Diff compares two pages of one kind: what only the first has, and what only the other has. Sections that are alike are left out.
func Diff(a, b *Page) *Page {
	p := &Page{Title: a.Title + ", compared with " + b.Title}
	for _, s := range a.Sections {
		d := Section{Title: s.Title}
		if len(s.Head) > 0 {
			d.Head = append([]string{""}, s.Head...)
		}
		others := rowsOf(b, s.Title)
		for _, r := range others {
			if !has(s.Rows, r) {
				d.row(Missing, append([]string{"-"}, r.Cells...)...)
			}
		}
		for _, r := range s.Rows {
			if !has(others, r) {
				d.row(More, append([]string{"+"}, r.Cells...)...)
			}
		}
		if len(d.Rows) > 0 {
			p.add(d)
		}
	}
	return p
}

func rowsOf(p *Page, title string) []Row {
	for _, s := range p.Sections {
		if s.Title == title {
			return s.Rows
		}
	}
	return nil
}

func has(rows []Row, r Row) bool {
	return slices.ContainsFunc(rows, func(other Row) bool { return slices.Equal(other.Cells, r.Cells) })
}
