package order

import (
	"cmp"
	"slices"
	"testing"
)

func TestBy(t *testing.T) {
	type pair struct{ a, b int }
	list := []pair{{2, 0}, {1, 0}, {2, 1}, {0, 5}, {1, 1}, {2, 2}}
	By(list, func(p, q pair) int { return cmp.Compare(p.a, q.a) })
	if want := []pair{{0, 5}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}}; !slices.Equal(list, want) {
		t.Errorf("%v, want %v", list, want)
	}
	By[pair](nil, nil)
}
