package daemon

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// TestDELBetweenADDs: a DEL that comes while an ADD asks a server ends that, and every other ADD that comes before it has its turn, be the first over and forgotten by then.
func TestDELBetweenADDs(t *testing.T) {
	d := &Daemon{held: make(map[string]*holding)}
	ended := func(h *holding) bool {
		ctx, done := d.asking(context.Background(), h)
		defer done()
		return errors.Is(context.Cause(ctx), errDEL)
	}
	first := d.take("c1")
	asking, done := d.asking(context.Background(), first)
	del, other := d.reserve("c1"), d.reserve("c1")
	if !errors.Is(context.Cause(asking), errDEL) {
		t.Error("the DEL does not end what is asked")
	}
	done()
	d.yield(first) // there was no lease
	second := d.take("c1")
	if !ended(second) {
		t.Error("an ADD before the DEL asks a server")
	}
	d.yield(second)
	for _, h := range []*holding{del, other} {
		d.seize(h)
		d.yield(h)
	}
	if len(d.held) > 0 {
		t.Errorf("left: %v", d.held)
	}
	last := d.take("c1")
	if ended(last) {
		t.Error("an ADD after the DELs is ended, too")
	}
	d.yield(last)
}

// TestDELsAndADDsAtOnce leaves nothing behind, in whatever order they come.
func TestDELsAndADDsAtOnce(t *testing.T) {
	d := &Daemon{held: make(map[string]*holding)}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				h := d.take("c1")
				_, done := d.asking(context.Background(), h)
				done()
				d.yield(h)
			}
		})
		all.Go(func() {
			for range 500 {
				h := d.reserve("c1")
				d.seize(h)
				d.yield(h)
			}
		})
	}
	all.Wait()
	if len(d.held) > 0 {
		t.Errorf("left: %v", d.held)
	}
}
