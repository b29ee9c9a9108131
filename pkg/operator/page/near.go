package page

import (
	"cmp"
	"path/filepath"
	"strings"

	"github.com/trestle-cni/trestle/pkg/order"
)

// nearest are the things whose names are most like it: a third of its letters may be different.
func nearest(list []Thing, only Kind, name string) []Thing {
	type candidate struct {
		Thing
		distance int
	}
	var near []candidate
	for _, t := range list {
		d := Distance(name, t.Name)
		if t.Kind == KindLink {
			d = min(d, Distance(name, t.Link.Name))
		}
		for _, pod := range t.pods() {
			d = min(d, Distance(name, pod), Distance(name, filepath.Base(pod)))
		}
		if d <= (len(name)+2)/3 && (only == "" || t.Kind == only) {
			near = append(near, candidate{t, d})
		}
	}
	order.By(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var things []Thing
	for _, c := range near[:min(len(near), few/2)] {
		things = append(things, c.Thing)
	}
	return things
}

// Near are the known words that are most like the word, whatever their case, the nearest first: two letters, and a third of all, may be different.
func Near(word string, known []string) []string {
	distance := make(map[string]int)
	for _, k := range known {
		if d := Distance(strings.ToLower(word), strings.ToLower(k)); d <= min(2, (len(k)+2)/3) {
			distance[k] = d
		}
	}
	return order.Keys(distance, func(a, b string) int { return cmp.Or(distance[a]-distance[b], strings.Compare(a, b)) })
}

// Distance is how many letters must be put in, left out, changed, or changed with their neighbour to make b of a (optimal string alignment).
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
