package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestWatchKilled kills the watch wherever it may be, while all is swept away and somebody is deleted: the next one has all of the living again, and nothing of the dead.
func TestWatchKilled(t *testing.T) { ofBoth(t, killedWatch) }

func killedWatch(t *testing.T, text string, rules func(*testing.T) string) {
	s := settleBy(t, text, 2, "udp")
	before := rules(t)
	for i := range size(6, 60) {
		s.attach(2 + i)
		first := s.starts()
		var both sync.WaitGroup
		both.Go(func() {
			if err := s.deletes(2 + i); err != nil {
				t.Errorf("DEL: %v", err)
			}
		})
		switch i % 6 {
		case 0: // at once
		case 1:
			sweep(t)
		case 2:
			first.says("watches the rules")
			sweep(t)
		case 3: // when the plugins have just been asked
			sweep(t)
			first.says("asks the plugins")
		case 4:
			first.says("the plugins have looked")
			sweep(t)
		case 5:
			first.says("the plugins have looked")
			sweep(t)
			first.says("made again: ")
		}
		must(t, first.cmd.Process.Kill())
		_ = first.cmd.Wait() // it was killed
		if i%2 == 0 {
			sweep(t)
		}
		next := s.starts()
		next.rules, next.before = rules, before
		both.Wait()
		next.says("the plugins have looked")
		next.lives("c0", "c1")
		sweep(t) // whatever is known of him by now comes to light
		if there := next.lives("c0", "c1"); strings.Contains(there, fmt.Sprintf("net/%s/", s.name(2+i))) {
			t.Fatalf("round %d: made again of who is deleted:\n%s", i, there)
		}
		must(t, next.cmd.Process.Signal(os.Interrupt))
		must(t, next.cmd.Wait())
		nstest.Remove(t, netnsDir+s.name(2+i))
	}
	s.tool("repair")
	if there := rules(t); strings.Count(there, "net/c") != strings.Count(before, "net/c") {
		t.Errorf("not as before:\n%s\nbut:\n%s", before, there)
	}
}

// TestWatchInFlight sweeps all away again and again while a container is attached, and while it is detached: whatever of him was there when, he has all that another has, once,
// and then nothing.
func TestWatchInFlight(t *testing.T) { ofBoth(t, inFlight) }

func inFlight(t *testing.T, text string, rules func(*testing.T) string) {
	s := settleBy(t, text, 1, "udp")
	s.serve(outsider, "udp", ":7")
	wants := strings.Count(rules(t), "net/c0/eth0")
	w := s.watch()
	w.says("the plugins have looked")
	for i := range size(8, 200) {
		name := s.name(1 + i)
		has := func(container string) int { return strings.Count(rules(t), "net/"+container+"/eth0") }
		s.container(name)
		must(t, sweeping(t, func() error { return s.adds(1 + i) }))
		w.until(name+" has all, and c0", func(string) bool { return has(name) == wants && has("c0") == wants })
		s.serve(name, "udp", ":7")
		w.until(name+" is heard", func(string) bool {
			return s.hears(name, "udp", "192.0.2.2:7", outsider) && s.hears(outsider, "udp", fmt.Sprint("192.0.2.1:", 20001+i), name)
		})
		must(t, sweeping(t, func() error { return s.deletes(1 + i) }))
		w.until("c0 has all, and "+name+" nothing", func(string) bool { return has(name) == 0 && has("c0") == wants })
		sweep(t)
		w.until("c0 has all", func(string) bool { return has("c0") == wants })
		if has(name) > 0 {
			t.Fatalf("made again of %s, who is deleted:\n%s", name, rules(t))
		}
		for _, server := range s.servers[name] { // an open socket would keep the namespace alive
			server.Close()
		}
		nstest.Remove(t, netnsDir+name)
	}
}

// sweeping sweeps all away until it is done.
func sweeping(t *testing.T, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		select {
		case err := <-done:
			return err
		default:
			sweep(t)
		}
	}
}
