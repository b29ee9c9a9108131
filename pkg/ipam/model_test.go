package ipam

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/trestle-cni/trestle/test/nstest"
)

// long says that the tests are to run at full size.
func long() bool { return os.Getenv("TRESTLE_LONG") == "1" }

// world is a directory of reservations, and what must be in it.
type world struct {
	dir, bootFile string
	boots         int
	sets          []Set
	policy        Policy
	base          int            // an UTS namespace for threads to be in
	netns         map[string]int // path of a namespace that lives: the descriptor that keeps it alive

	held    map[netip.Addr]lease
	cooling map[netip.Addr]bool // released in this boot; false where the index that knows it may have been lost
}

// lease is what the model knows of a reservation.
type lease struct {
	Holder
	boot  int    // in which it was made, or was seen first
	netns string // as it was recorded; "" when it was not
	seen  bool   // it has a record
	gone  bool   // the namespace that was recorded
}

// The store does what a simple model does, whatever comes in between: calls that are killed, reboots, a lost or an outdated index,
// another program's writes. No address has two owners, none is lost, and none is held by the dead when somebody needs it.
func TestStoreIsTheModel(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		checks := "2000"
		if long() {
			checks = "20000"
		}
		must(t, flag.Set("rapid.checks", checks))
		must(t, flag.Set("rapid.nofailfile", "true"))
		bootFile := filepath.Join("/run", "boot_id")
		must(t, os.WriteFile(bootFile, nil, 0o600))
		must(t, unix.Mount(bootFile, "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, ""))
		base, err := newUTS()
		must(t, err)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			w := newWorld(rt, fmt.Sprintf("/run/world%d", n), bootFile)
			w.base = base
			rt.Cleanup(func() {
				must(t, os.RemoveAll(w.dir))
				for _, fd := range w.netns {
					must(t, unix.Close(fd))
				}
			})
			rt.Repeat(w.actions())
		})
	})
}

func newWorld(t *rapid.T, dir, bootFile string) *world {
	w := &world{dir: dir, bootFile: bootFile, netns: map[string]int{}, held: map[netip.Addr]lease{}, cooling: map[netip.Addr]bool{}}
	w.policy = Policy{
		Cooldown: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "cooldown"),
		Reclaim:  rapid.Bool().Draw(t, "reclaim"),
		Log:      func(string, ...any) {},
	}
	w.sets = [][]Set{
		{{Whole(netip.MustParsePrefix("10.1.0.0/29"))}},
		{{Whole(netip.MustParsePrefix("10.1.0.0/30")), span("10.2.0.0/24", "10.2.0.254", "10.2.0.255")}},
		{{Whole(netip.MustParsePrefix("10.1.0.0/29"))}, {Whole(netip.MustParsePrefix("fd00::/126"))}},
	}[rapid.IntRange(0, 2).Draw(t, "sets")]
	w.reboot()
	return w
}

func (w *world) reboot() {
	w.boots++
	id := fmt.Sprintf("%08d-0000-4000-8000-000000000000\n", w.boots)
	if err := os.WriteFile(w.bootFile, []byte(id), 0o600); err != nil {
		panic(err)
	}
	clear(w.cooling)
}

func (w *world) open(t *rapid.T) *Store {
	s, err := Open(t.Context(), w.dir, "net", true)
	if err != nil {
		t.Fatal(err)
	}
	s.Policy = w.policy
	return s
}

// end ends a command: in order, or by SIGKILL before it could put the index to rest. The kernel gives the lock back either way.
func (w *world) end(t *rapid.T, s *Store) {
	if rapid.IntRange(0, 4).Draw(t, "killed") == 0 {
		s.changing = false // no commit
		w.doubt()          // what it released may be forgotten
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// doubt is called when the index may have lost what was released.
func (w *world) doubt() {
	for a := range w.cooling {
		w.cooling[a] = false
	}
}

// sawAll is called when a command has made a new index: what has no record gets one.
func (w *world) sawAll() {
	for a, l := range w.held {
		if !l.seen {
			l.seen, l.boot = true, w.boots
			w.held[a] = l
		}
	}
}

func (w *world) dead(l lease) bool {
	return l.seen && (l.boot != w.boots || l.gone)
}

var holders = []Holder{{"a", "eth0"}, {"a", "eth1"}, {"b", "eth0"}, {"c", "eth0"}, {"d", "eth0"}, {"e", "eth0"}, {"f", "eth0"}}

func (w *world) of(h Holder) []netip.Addr {
	var addrs []netip.Addr
	for a, l := range w.held {
		if l.Holder == h {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

func (w *world) release(a netip.Addr) {
	delete(w.held, a)
	w.cooling[a] = true
}

// containerComes makes a namespace that lives as long as a descriptor. It is an UTS namespace, which the kernel makes and
// unmakes in no time; to the store, a namespace is a namespace.
func (w *world) containerComes(t *rapid.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := newUTS()
	if err == nil {
		err = unix.Setns(w.base, unix.CLONE_NEWUTS) // or this thread would keep it alive
	}
	if err != nil {
		t.Fatal(err)
	}
	w.netns[fmt.Sprintf("/proc/self/fd/%d", fd)] = fd
}

// newUTS moves the thread into a new UTS namespace.
func newUTS() (fd int, err error) {
	if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
		return -1, err
	}
	return unix.Open("/proc/thread-self/ns/uts", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// containerDies also lets paths of the dead name others: a descriptor's number is used again.
func (w *world) containerDies(t *rapid.T) {
	if len(w.netns) == 0 {
		return
	}
	path := rapid.SampledFrom(slices.Sorted(maps.Keys(w.netns))).Draw(t, "path")
	if err := unix.Close(w.netns[path]); err != nil {
		t.Fatal(err)
	}
	delete(w.netns, path)
	for a, l := range w.held {
		if l.netns == path {
			l.gone = true
			w.held[a] = l
		}
	}
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"add": w.add,
		"del": w.del,
		"gc": func(t *rapid.T) {
			s := w.open(t)
			w.sawAll()
			if _, err := s.Reclaim(nil); err != nil {
				t.Fatal(err)
			}
			for a, l := range w.held {
				if w.policy.Reclaim && w.dead(l) {
					w.release(a)
				}
			}
			w.end(t, s)
		},
		"reboot":          func(*rapid.T) { w.reboot() },
		"container comes": w.containerComes,
		"container dies":  w.containerDies,
		"lost":            w.loseIndex,
		"clock":           w.setClock,
		"foreign":         w.foreign,
		"pointer": func(t *rapid.T) {
			text := rapid.SampledFrom([]string{"", "10.1", "10.1.0.3", "10.2.0.255", "fd00::2", "\x00"}).Draw(t, "text")
			_ = os.MkdirAll(filepath.Join(w.dir, "net"), 0o755)
			if err := os.WriteFile(filepath.Join(w.dir, "net", "last_reserved_ip.0"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"": w.compare,
	}
}
