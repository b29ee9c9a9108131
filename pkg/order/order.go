// Package order sorts lists, with one piece of code for all of them: that of package slices is made anew for each kind of element, 10 KB every time, and
// a node downloads them.
package order

import "sort"

// By sorts the list by compare, and leaves in their order what is equal.
func By[E any](list []E, compare func(a, b E) int) {
	sort.SliceStable(list, func(i, j int) bool { return compare(list[i], list[j]) < 0 })
}

// Keys are those of the map, sorted by compare.
func Keys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	By(keys, compare)
	return keys
}
