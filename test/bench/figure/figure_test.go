package figure

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{7}, 0.99, 7},
		{[]float64{1, 2}, 0.5, 1.5},
		{[]float64{1, 2, 3}, 0.5, 2},
		{[]float64{0, 10, 20, 30, 40}, 0.25, 10},
		{[]float64{0, 10, 20, 30, 40}, 0.95, 38},
		{[]float64{0, 10}, 0, 0},
		{[]float64{0, 10}, 1, 10},
	} {
		if got := Quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v at %v: got %v, want %v", c.values, c.q, got, c.want)
		}
	}
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: got %v", got)
	}
}

func TestRounds(t *testing.T) {
	r := Rounds{{3, 1}, {2}, nil, {9}}
	if got := r.Median(nil); got != 2.5 {
		t.Errorf("of all: %v", got)
	}
	if got := r.Median([]int{1, 1, 3}); got != 2 {
		t.Errorf("of rounds 1, 1 and 3: %v", got)
	}
	if got := r.Median([]int{2, 7}); !math.IsNaN(got) {
		t.Errorf("of a round without measurements and one that is not there: %v", got)
	}
}

// A ratio of two things that are disturbed together is sure, though each of them is not.
func TestOverPairs(t *testing.T) {
	var one, other Rounds
	for i := range 40 {
		load := 1 + float64(i%7)
		one, other = append(one, []float64{2 * load}), append(other, []float64{load})
	}
	ratio := Over(40, func(pick []int) float64 { return one.Median(pick) / other.Median(pick) })
	if ratio != (Estimate{2, 2, 2}) {
		t.Errorf("ratio: %+v", ratio)
	}
	alone := Over(40, one.Median)
	if alone.Low >= alone.Value || alone.High <= alone.Value || alone.Low < 4 || alone.High > 12 {
		t.Errorf("alone: %+v", alone)
	}
	if again := Over(40, one.Median); again != alone {
		t.Errorf("again: %+v, before: %+v", again, alone)
	}
	if single := Over(1, one.Median); !math.IsNaN(single.Low) || single.Value != one.Median(nil) {
		t.Errorf("one round: %+v", single)
	}
}
