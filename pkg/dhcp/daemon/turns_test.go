package daemon

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestTurns: so many ask a server at the same time and no more, whoever needs it first has the next place, and another server's are free.
func TestTurns(t *testing.T) {
	one, two := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")
	all := newTurns()
	for range mostAsked {
		if all.queue(one, 0) != nil {
			t.Fatal("there was a place")
		}
	}
	all.take(two, 0)() // does not wait
	var order []time.Duration
	queue := make(map[time.Duration]*turn)
	for _, by := range []time.Duration{3, 1, 2} {
		queue[by] = all.queue(one, by)
	}
	for range 3 {
		all.leave(one)
		for by, mine := range queue {
			if closed(mine.come) {
				order = append(order, by)
				delete(queue, by)
			}
		}
	}
	if !slices.Equal(order, []time.Duration{1, 2, 3}) {
		t.Errorf("in the order %v", order)
	}
	for range mostAsked {
		all.leave(one)
	}
	if len(all.at) > 0 {
		t.Errorf("left: %v", all.at)
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
