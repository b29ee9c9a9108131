package ipam

import (
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// add is an ADD as host-local makes it: refused where the holder lives, undone where a set is full.
func (w *world) add(t *rapid.T) {
	h := rapid.SampledFrom(holders).Draw(t, "holder")
	netns := rapid.SampledFrom(append(slices.Sorted(maps.Keys(w.netns)), "")).Draw(t, "netns")
	s := w.open(t)
	defer w.end(t, s)
	if _, _, err := s.Held(h); err != nil {
		t.Fatal(err)
	}
	w.sawAll() // an index that is not believed is made anew by a scan; one that is believed has seen all
	gone, err := s.ReclaimFrom(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.of(h) {
		if w.policy.Reclaim && w.dead(w.held[a]) {
			w.release(a)
		}
	}
	if left := w.of(h); gone != (len(left) == 0) {
		t.Fatalf("%s has no address left: %v, want %v", h, gone, left)
	} else if !gone {
		return
	}
	var made []netip.Addr
	for i, set := range w.sets {
		g, err := s.Allocate(i, set, netip.Addr{}, Attachment{h, netns})
		if !w.judge(t, set, g, err) {
			for _, a := range made {
				if err := s.Release(a); err != nil {
					t.Fatal(err)
				}
				w.release(a)
			}
			return
		}
		w.held[g.Addr.Addr()] = lease{Holder: h, boot: w.boots, seen: true, netns: netns}
		delete(w.cooling, g.Addr.Addr())
		made = append(made, g.Addr.Addr())
	}
}

// judge says whether an address was to be had, and fails the test where the answer is another one.
func (w *world) judge(t *rapid.T, set Set, g Grant, err error) bool {
	free, fresh := w.free(set)
	if len(free) == 0 && w.policy.Reclaim {
		for a, l := range w.held {
			if _, in := set.Find(a); in && w.dead(l) {
				w.release(a)
			}
		}
		free, fresh = w.free(set)
	}
	if len(free) == 0 {
		if fault.Code(err) != fault.Exhausted {
			t.Fatalf("full set %s: %v, %v", set, g, err)
		}
		return false
	}
	if err != nil {
		t.Fatalf("set %s with %v free: %v", set, free, err)
	}
	addr := g.Addr.Addr()
	if !slices.Contains(free, addr) || w.policy.Cooldown > 0 && len(fresh) > 0 && w.cooling[addr] {
		t.Fatalf("set %s: %s; free are %v, and not cooling %v", set, addr, free, fresh)
	}
	return true
}

// free returns the addresses that may be handed out, and those of them that are not cooling without a doubt.
func (w *world) free(set Set) (free, fresh []netip.Addr) {
	for _, r := range set {
		for a := r.Start; ; a = a.Next() {
			if _, held := w.held[a]; !held && a != r.Gateway {
				free = append(free, a)
				if _, cooling := w.cooling[a]; !cooling {
					fresh = append(fresh, a)
				}
			}
			if a == r.End {
				break
			}
		}
	}
	return free, fresh
}

func (w *world) del(t *rapid.T) {
	h := rapid.SampledFrom(holders).Draw(t, "holder")
	s := w.open(t)
	own, _, err := s.Held(h)
	w.sawAll()
	for _, a := range own {
		if err == nil {
			err = s.Release(a)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.of(h) {
		w.release(a)
	}
	w.end(t, s)
}

// loseIndex removes the index, cuts it short, or puts rubbish into it.
func (w *world) loseIndex(t *rapid.T) {
	path := filepath.Join(w.dir, side, "net")
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	w.doubt()
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		err = os.RemoveAll(filepath.Dir(path))
	case 1:
		err = os.Truncate(path, rapid.Int64Range(0, max(0, info.Size()-1)).Draw(t, "length"))
	case 2:
		err = os.WriteFile(path, []byte("rubbish"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// setClock makes the directory and the index look as after a change of the clock, an hour at the most. Nothing may come of it.
func (w *world) setClock(t *rapid.T) {
	at := time.Now().Add(time.Duration(rapid.IntRange(-3600, 3600).Draw(t, "seconds")) * time.Second)
	for _, path := range []string{filepath.Join(w.dir, "net"), filepath.Join(w.dir, side, "net")} {
		if err := os.Chtimes(path, at, at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// foreign is a write of another program, the reference say, right after ours: a reservation of its own without a record, a
// reservation removed, an empty file, files that are nobody's.
func (w *world) foreign(t *rapid.T) {
	dir := filepath.Join(w.dir, "net")
	err := os.MkdirAll(dir, 0o755)
	free, _ := w.free(w.sets[0])
	what := rapid.IntRange(0, 3).Draw(t, "what")
	switch {
	case what == 0 && len(free) > 0:
		l := lease{Holder: Holder{"foreign" + free[0].String(), "eth0"}}
		_ = os.Remove(filepath.Join(dir, free[0].String())) // of a torn file; the reference writes into no file that is there
		err = writeFile(filepath.Join(dir, free[0].String()), l.encode())
		w.held[free[0]] = l
		w.cooling[free[0]] = false // its release is forgotten if a command sees the new file
	case what == 1 && len(w.held) > 0:
		a := slices.SortedFunc(maps.Keys(w.held), netip.Addr.Compare)[0]
		err = os.Remove(filepath.Join(dir, a.String()))
		delete(w.held, a)
		w.cooling[a] = false
	case what == 2 && len(free) > 0:
		err = writeFile(filepath.Join(dir, free[0].String()), rapid.SampledFrom([]string{"", "\x00\x00", "a\neth0"}).Draw(t, "content"))
	case what == 3:
		err = writeFile(filepath.Join(dir, "note"), "a\r\neth0")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }

// compare looks at the directory itself.
func (w *world) compare(t *rapid.T) {
	names, err := filepath.Glob(filepath.Join(w.dir, "net", "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[netip.Addr]Holder{}
	for _, name := range names {
		a, ok := parseName(filepath.Base(name))
		if !ok {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := parseHolder(content); ok {
			found[a] = h
		}
	}
	want := map[netip.Addr]Holder{}
	for a, l := range w.held {
		want[a] = l.Holder
	}
	if !maps.Equal(found, want) {
		t.Fatalf("the directory holds %v, want %v", found, want)
	}
}
