package doctor

import (
	"fmt"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// BenchmarkExplained is of a host where every container has a finding that another explains: the time of each grows with their number, and no quicker.
func BenchmarkExplained(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			causes := make([]Finding, count)
			for i := range causes {
				causes[i].about = []*observe.Attachment{{}}
			}
			for b.Loop() {
				explained := suffering(causes)
				for _, f := range causes {
					if !explained.explain(f) {
						b.Fatal("not explained")
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/finding")
		})
	}
}

// A finding is explained by others about all whom it is about, by any about everybody, and, about everybody itself, by any.
func TestExplained(t *testing.T) {
	a, b := &observe.Attachment{}, &observe.Attachment{}
	of := func(about ...*observe.Attachment) Finding { return Finding{about: about} }
	for name, c := range map[string]struct {
		causes []Finding
		f      Finding
		want   bool
	}{
		"nothing else":               {nil, of(a), false},
		"nothing else, of everybody": {nil, of(), false},
		"the same one":               {[]Finding{of(a)}, of(a), true},
		"another":                    {[]Finding{of(b)}, of(a), false},
		"both, by two":               {[]Finding{of(b), of(a)}, of(a, b), true},
		"both, by one":               {[]Finding{of(b)}, of(a, b), false},
		"by everybody's":             {[]Finding{of(b), of()}, of(a), true},
		"everybody's, by one":        {[]Finding{of(b)}, of(), true},
	} {
		if got := suffering(c.causes).explain(c.f); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
