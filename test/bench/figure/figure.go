// Package figure is the statistics of a comparison: pure functions of what was measured.
package figure

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Rounds are the measurements of one thing, by the rounds of a run. In each round everything that is compared was measured once or more, so
// what disturbed the machine for a while disturbed all.
type Rounds [][]float64

// All returns the measurements of the rounds that are picked, sorted; of all rounds where pick is nil.
func (r Rounds) All(pick []int) []float64 {
	var all []float64
	if pick == nil {
		all = slices.Concat(r...)
	}
	for _, i := range pick {
		if i < len(r) {
			all = append(all, r[i]...)
		}
	}
	slices.Sort(all)
	return all
}

// Median is that of the rounds that are picked; NaN where nothing was measured.
func (r Rounds) Median(pick []int) float64 { return Quantile(r.All(pick), 0.5) }

// Quantile returns the value below which the share q of the sorted values lies, between two of them where it falls there (the definition
// that spreadsheets and R have as the default). NaN where there is no value.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Estimate is a value with the interval in which it lies, as far as the run's own spread tells.
type Estimate struct{ Value, Low, High float64 }

// resamples is the number of runs that are imagined for an interval.
const resamples = 1000

// Over computes a value from the rounds of a run, and its 95 % interval by the bootstrap: the value of so many runs, each put
// together of rounds drawn from the real ones. Each draws the same rounds for all that is compared, so that what disturbed both sides of a
// ratio counts on both. The same run gives the same interval.
func Over(rounds int, value func(pick []int) float64) Estimate {
	e := Estimate{Value: value(nil), Low: math.NaN(), High: math.NaN()}
	if rounds < 2 {
		return e
	}
	random := rand.New(rand.NewPCG(1, 2))
	var values []float64
	pick := make([]int, rounds)
	for range resamples {
		for i := range pick {
			pick[i] = random.IntN(rounds)
		}
		if v := value(pick); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	e.Low, e.High = Quantile(values, 0.025), Quantile(values, 0.975)
	return e
}
