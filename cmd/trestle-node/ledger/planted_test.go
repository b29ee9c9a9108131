package ledger

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
)

// What is no file and stands in the ledger's place is put aside as one that is torn is; what stands in the way of what is written goes, or is left and written around.
func TestPlanted(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"folder":         func(path string) error { return os.Mkdir(path, 0o700) },
		"full folder":    func(path string) error { return os.MkdirAll(filepath.Join(path, "theirs"), 0o700) },
		"pipe":           func(path string) error { return unix.Mkfifo(path, 0o600) },
		"socket":         func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"link to itself": func(path string) error { return os.Symlink(path, path) },
		"link to none":   func(path string) error { return os.Symlink(path+".none", path) },
	} {
		p := places(t)
		if err := os.Mkdir(filepath.Dir(p.Ledger), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := plant(p.Ledger); err != nil {
			t.Fatal(err)
		}
		if name != "full folder" {
			if err := plant(p.Ledger + ".half"); err != nil {
				t.Fatal(err)
			}
		}
		l, err := Open(context.Background(), p, "n1")
		if err != nil || l.Damaged == nil && name != "link to none" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		keep(t, l, with(l.Content, four(0)))
		l.Close()
		if c, err := Read(p); err != nil || len(c.State.Blocks) != 1 || handedOut(t, p) != "10.0.0.0/26" {
			t.Errorf("%s: %v, %+v", name, err, c.State)
		}
	}
}

// Where a clock was set back, what had come to be open later than now came to be open now: it would be kept for as long as the clock was wrong.
func TestClockSetBack(t *testing.T) {
	l := open(t, places(t))
	defer l.Close()
	next := with(l.Content, four(0), four(1))
	old := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	next.Since = map[pool.ID]time.Time{four(0): time.Now().AddDate(1, 0, 0), four(1): old}
	keep(t, l, next)
	if got := l.Since[four(0)]; got.After(time.Now()) || !l.Since[four(1)].Equal(old) {
		t.Errorf("open since %v", l.Since)
	}
}
