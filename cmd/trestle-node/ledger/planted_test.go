package ledger

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/pkg/fault"
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

// Two programs that would write over each other are never both let in, whatever their files call the rest; who is refused leaves nothing behind that holds others up.
func TestAlone(t *testing.T) {
	same := func(p Places) Places { return p }
	elsewhere := func(p Places) Places { p.Ledger += ".other"; return p }
	member := func(p Places) (func() error, error) {
		g, err := OpenGrant(p, "n1")
		return func() error { return g.Close() }, err
	}
	sharer := func(p Places) (func() error, error) {
		l, err := Open(context.Background(), p, "n1")
		return func() error { return l.Close() }, err
	}
	for name, c := range map[string]struct {
		first, second func(Places) (func() error, error)
		place         func(Places) Places
	}{
		"two of one file":                 {sharer, sharer, same},
		"two ledgers, what they write is": {sharer, sharer, elsewhere},
		"one of a cluster, one of a pool": {member, sharer, same},
		"one of a pool, one of a cluster": {sharer, member, same},
		"two of a cluster":                {member, member, same},
	} {
		p := places(t)
		end, err := c.first(p)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := c.second(c.place(p)); fault.Code(err) != fault.Taken || fault.Hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if err := end(); err != nil {
			t.Fatal(name, err)
		}
		end, err = c.second(c.place(p))
		if err != nil {
			t.Errorf("%s: when the first is gone: %v", name, err)
			continue
		}
		_ = end()
	}
}
