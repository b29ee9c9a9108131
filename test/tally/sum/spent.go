package sum

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A run shorter than this, in seconds of all tests together, has no list of what took long; one that has it, of this many lines.
const longRun, longest = 120, 15

// spend notes how long a test without subtests took, for the function that it is of.
func (t *Tally) spend(id test, seconds float64) {
	id.Name, _, _ = strings.Cut(id.Name, "/")
	t.spent[id] += seconds
}

// reportSpent prints the functions that took longest, and their share of all: where to look when the whole outgrows its budget.
func (t *Tally) reportSpent() {
	sum := 0.0
	for _, s := range t.spent {
		sum += s
	}
	if sum < longRun {
		return
	}
	list := slices.SortedFunc(maps.Keys(t.spent), func(a, b test) int { return cmp.Compare(t.spent[b], t.spent[a]) })
	fmt.Fprintf(t.out, "\nof %.0f s, tests side by side counted each:\n", sum)
	for _, id := range list[:min(len(list), longest)] {
		fmt.Fprintf(t.out, "%5.1f %%  %6.0f s  %s %s\n", 100*t.spent[id]/sum, t.spent[id], id.Package, id.Name)
	}
}
