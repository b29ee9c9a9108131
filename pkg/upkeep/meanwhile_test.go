package upkeep

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestManyTimesBusy sweeps all away many times while somebody is at work on an attachment: one waits for him, however often.
func TestManyTimesBusy(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		busy := hold(t, f, 2)
		hold(t, f, 3)
		said := begun(t, run, nothing)
		a, err := admit(run)
		must(t, err)
		if !a.admits(busy.ID, false) {
			t.Fatal("locked already")
		}
		sweep := func() {
			nftool(t, "flush ruleset")
			says(t, said, "made again", "of 1 attachments")
		}
		sweep()
		before := threads(t)
		for range 30 {
			sweep()
		}
		if more := threads(t) - before; more > 10 {
			t.Errorf("%d threads more after 30 flushes", more)
		}
		a.end()
		says(t, said, "made again", "of 1 attachments, when the verb that was at work had ended")
	})
}

func threads(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	must(t, err)
	return len(list)
}

// TestPausedBefore begins to watch in a rest that somebody asked for before: it ends as it would have.
func TestPausedBefore(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		must(t, Pause{Since: time.Now(), Until: time.Now().Add(time.Second)}.Write(run))
		asked := make(chan struct{}, 10)
		said := begun(t, run, func(context.Context, []string) error { asked <- struct{}{}; return nil })
		says(t, said, "rests: until 2")
		nftool(t, "flush ruleset") // of which nothing is said until it is over
		says(t, said, "goes on after a rest")
		<-asked
	})
}

// TestHabitInRepair learns what somebody means while the plugins are asked, of whom nobody has told them: they are asked anew.
func TestHabitInRepair(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, f := filter(t)
		hold(t, f, 2)
		told := make(chan []string, 10)
		said := begun(t, run, func(ctx context.Context, left []string) error {
			told <- left
			if len(left) == 0 {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		if left := <-told; len(left) > 0 {
			t.Errorf("at first: %q", left)
		}
		for range often {
			nftool(t, "delete table bridge trestle")
			says(t, said, "made again: table bridge trestle")
		}
		nftool(t, "delete table bridge trestle")
		says(t, said, "leaves alone until", "table bridge trestle")
		if left := <-told; len(left) != 1 || left[0] != "table bridge trestle" {
			t.Errorf("then: %q", left)
		}
	})
}

// TestResultLater has a runtime write a result after the plugins were asked: they are asked again, soon, and once. One that was there before, or goes, is no reason.
func TestResultLater(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		run, _ := filter(t)
		results := filepath.Join(run, "results")
		must(t, os.Mkdir(results, 0o700))
		write := func(name string) { must(t, os.WriteFile(filepath.Join(results, name), nil, 0o600)) }
		w := &watch{Options: Options{Results: results}}
		comes := func(what string, want bool, does func()) {
			t.Helper()
			asked := time.Now().Add(time.Minute) // what is there by then was there before
			does()
			if w.hasCome(asked) != want {
				t.Errorf("%s: has come: %t", what, !want)
			}
		}
		comes("nobody", false, func() {})
		comes("one before", false, func() { write("before") })
		comes("one who goes", false, func() { must(t, os.Remove(filepath.Join(results, "before"))) })
		said := begun(t, run, nothing)
		says(t, said, "asks the plugins", "the watch begins")
		for n := range 2 {
			write(fmt.Sprint(n))
			says(t, said, "asks the plugins", "a container has come")
		}
	})
}
