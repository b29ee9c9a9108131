package ipam

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The clock is set back: what the directory and the index are dated lies in the future, and what comes after seems to be older than what
// was before. Dates are compared for equality only, so nothing is lost or given twice.
func TestClockSetBack(t *testing.T) {
	for _, ahead := range []time.Duration{time.Second, time.Hour, 20 * 365 * 24 * time.Hour} {
		dir, set := t.TempDir(), Set{span("10.1.0.0/24", "10.1.0.2", "10.1.0.5")}
		add := func(id string) (string, error) {
			s := open(t, dir)
			defer s.Close()
			s.Policy.Cooldown = time.Hour
			g, err := s.Allocate(0, set, netip.Addr{}, Attachment{Holder: Holder{id, "eth0"}})
			return g.Addr.Addr().String(), err
		}
		expect := func(id, want string) {
			t.Helper()
			if got, err := add(id); err != nil || got != want {
				t.Errorf("%s ahead: %s got %s, %v, want %s", ahead, id, got, err, want)
			}
		}
		expect("a", "10.1.0.2")
		release(t, dir, "10.1.0.2")
		commitAhead(t, dir, ahead)
		if !believed(t, dir) {
			t.Errorf("%s ahead: the index is not believed after our own command", ahead)
		}
		expect("b", "10.1.0.3")
		commitAhead(t, dir, ahead)
		must(t, os.WriteFile(filepath.Join(dir, "net", "10.1.0.4"), []byte("theirs\r\neth0"), 0o600))
		if believed(t, dir) {
			t.Errorf("%s ahead: the index is believed after another program's write", ahead)
		}
		expect("c", "10.1.0.5")
		expect("d", "10.1.0.2") // it is cooling, and the last one
		if addr, err := add("e"); err == nil {
			t.Errorf("%s ahead: e got %s, which is somebody's", ahead, addr)
		}
	}
}

func release(t *testing.T, dir, address string) {
	t.Helper()
	s := open(t, dir)
	must(t, s.Release(addr(address)))
	must(t, s.Close())
}

// commitAhead leaves the directory and its index as a command does when the clock is ahead.
func commitAhead(t *testing.T, dir string, ahead time.Duration) {
	t.Helper()
	s := open(t, dir)
	x, err := s.index()
	must(t, err)
	then := time.Now().Add(ahead)
	must(t, os.Chtimes(s.indexFile.Name(), then, then))
	must(t, os.Chtimes(s.path, then.Add(-time.Second), then.Add(-time.Second)))
	at, err := stamp(s.dir)
	must(t, err)
	_, err = s.indexFile.WriteAt(s.header(x, atRest, at).encode(), 0)
	must(t, err)
	must(t, s.Close())
}

// An address does not rest until a time that is still to come, where its release is recorded then.
func TestReleasedInTheFuture(t *testing.T) {
	for _, ahead := range []time.Duration{time.Nanosecond, time.Hour, 1<<63 - 1} {
		x := build(span("10.1.0.0/24", "10.1.0.2", "10.1.0.4"), 3, func(int) bool { return false })
		const now, cooldown = 1000 * time.Hour, time.Minute
		future := now + min(ahead, 1<<63-1-now)
		x.drop(Reservation{addr("10.1.0.2"), Holder{"ctr10.1.0.2", "eth0"}}, future)
		x.drop(Reservation{addr("10.1.0.3"), Holder{"ctr10.1.0.3", "eth0"}}, now)
		set := Set{span("10.1.0.0/24", "10.1.0.2", "10.1.0.4")}
		// .3 is the next in the round and must rest; so .2 it is, unless it rests until that time has come.
		if got, _, ok := x.free(set, addr("10.1.0.2"), now, cooldown); !ok || got != addr("10.1.0.2") {
			t.Errorf("released %s ahead: %s is next, want 10.1.0.2", ahead, got)
		}
		// Behind another one in the queue it is looked at when that one has rested; less than a cooldown ahead is then the past.
		x.drop(Reservation{addr("10.1.0.4"), Holder{"ctr10.1.0.4", "eth0"}}, future)
		x.add(Reservation{addr("10.1.0.2"), Holder{"new", "eth0"}})
		if got, _, ok := x.free(set, addr("10.1.0.3"), now+2*cooldown, cooldown); !ok || got != addr("10.1.0.4") {
			t.Errorf("released %s ahead, two cooldowns later: %s is next, want 10.1.0.4", ahead, got)
		}
	}
}
