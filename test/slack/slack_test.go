package slack

import (
	"testing"
	"time"
)

// However busy the machine is, no wait is shorter than at rest, and no crowd larger, nor so small that it is none.
func TestBounds(t *testing.T) {
	if got := Of(time.Second); got < 2*time.Second || got > time.Hour {
		t.Errorf("a second becomes %v", got)
	}
	for _, rest := range []int{2, 32} {
		if got := Crowd(rest); got > rest || got < min(rest, 4) {
			t.Errorf("a crowd of %d becomes %d", rest, got)
		}
	}
}
