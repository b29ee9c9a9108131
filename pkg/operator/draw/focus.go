package draw

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/order"
)

// Focus keeps what is connected to the boxes that the word names: those above them up to the outside, and those below them. A box is named
// by its ID, its title, its other names, its lane, a line of it or the address in one (without the length of the prefix), or by the first
// letters of a name, four at least. An error says that there is none, with the names that come nearest.
func (p Picture) Focus(word string) (Picture, error) {
	var named []string
	for _, match := range []func(Box, string) bool{isNamed, begins} {
		for _, b := range p.Boxes {
			if match(b, word) {
				named = append(named, b.ID)
			}
		}
		if len(named) > 0 {
			break
		}
	}
	if len(named) == 0 {
		seen := ""
		if len(p.Notes) > 0 {
			seen = ", as far as could be seen"
		}
		return Picture{}, fmt.Errorf("%s: nothing of that name is on this host%s%s", Clean(word), seen, p.near(word))
	}
	up, down := p.reach(named, true), p.reach(named, false)
	return p.keep(func(b Box) bool { return up[b.ID] || down[b.ID] }), nil
}

func isNamed(b Box, word string) bool {
	if b.ID == word || b.Title == word || b.Lane == word && b.Kind == Bridge || slices.Contains(b.Names, word) {
		return true
	}
	return slices.ContainsFunc(b.Lines, func(l Line) bool {
		address, _, _ := strings.Cut(l.Text, "/")
		return l.About == "" && (l.Text == word || address == word)
	})
}

func begins(b Box, word string) bool {
	return len(word) >= 4 && slices.ContainsFunc(append(b.Names, b.Title), func(name string) bool { return strings.HasPrefix(name, word) })
}

// reach follows the edges from the boxes in one direction, and boxes in boxes in both.
func (p Picture) reach(from []string, up bool) map[string]bool {
	next := map[string][]string{}
	join := func(a, b string) { next[a] = append(next[a], b) }
	for _, e := range p.Edges {
		if up {
			join(e.To, e.From)
		} else {
			join(e.From, e.To)
		}
	}
	for _, b := range p.Boxes {
		if b.In != "" {
			join(b.ID, b.In)
			join(b.In, b.ID)
		}
	}
	reached := map[string]bool{}
	for queue := slices.Clone(from); len(queue) > 0; queue = queue[1:] {
		if id := queue[0]; !reached[id] {
			reached[id] = true
			queue = append(queue, next[id]...)
		}
	}
	return reached
}

// near names a few boxes of which the word has the first letters, those that have most of them first.
func (p Picture) near(word string) string {
	common := func(name string) (n int) {
		for n < min(len(name), len(word)) && name[n] == word[n] {
			n++
		}
		return n
	}
	var names []string
	for _, b := range p.Boxes {
		if common(b.Title) > 1 && !slices.Contains(names, b.Title) {
			names = append(names, b.Title)
		}
	}
	if len(names) == 0 {
		return ""
	}
	order.By(names, func(a, b string) int { return common(b) - common(a) })
	return "; near it: " + Clean(strings.Join(names[:min(len(names), 5)], ", "))
}
