package page

import (
	"cmp"
	"slices"
)

// nearest are the things whose names are most like it: a third of its letters may be different.
func nearest(list []Thing, only Kind, name string) []Thing {
	type candidate struct {
		Thing
		distance int
	}
	var near []candidate
	for _, t := range list {
		d := distance(name, t.Name)
		if t.Kind == KindLink {
			d = min(d, distance(name, t.Link.Name))
		}
		if d <= (len(name)+2)/3 && (only == "" || t.Kind == only) {
			near = append(near, candidate{t, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var things []Thing
	for _, c := range near[:min(len(near), few/2)] {
		things = append(things, c.Thing)
	}
	return things
}

// distance is Levenshtein's: how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, cost)
		}
	}
	return row[len(b)]
}
