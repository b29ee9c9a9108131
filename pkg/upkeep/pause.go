package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Pause is a rest of the watch, which somebody asked for. It is a file in a directory that a boot empties.
type Pause struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // the zero Time: until somebody ends it
	Why   string    `json:"why,omitempty"`
}

func (p *Pause) String() string {
	text := "until trestle resume"
	if !p.Until.IsZero() {
		text = "until " + p.Until.Format(time.DateTime)
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// folder is where the file is, beside the locks: in a directory of its own, in which nothing else happens.
const folder = "watch"

func pausePath(run string) string { return filepath.Join(run, folder, "paused") }

// Write begins the rest.
func (p Pause) Write(run string) error {
	text, err := json.Marshal(p)
	if err == nil {
		err = os.MkdirAll(filepath.Join(run, folder), 0o755)
	}
	if err != nil {
		return err
	}
	return plainfile.Write(pausePath(run), append(text, '\n'))
}

// ErrOther says that another watches: the first to end would take away what the DELs tell both.
var ErrOther = errors.New("another one watches already")

// only sees to it that nobody else watches until the file is closed.
func only(run string) (*os.File, error) {
	file, err := filelock.Open(filepath.Join(run, "the-watch-at-work.lock")) // no link, whose lock is beside it, has so long a name
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrOther
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// awaitPauses subscribes to what becomes of the file.
func (w *watch) awaitPauses(ctx context.Context) (*os.File, error) {
	dir := filepath.Dir(pausePath(w.Run))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE|unix.IN_DELETE); err != nil {
		file.Close()
		return nil, os.NewSyscallError("inotify", err)
	}
	context.AfterFunc(ctx, func() { file.Close() })
	return file, nil
}

// awaitPause has what is owed looked at each time that a rest begins or ends.
func (w *watch) awaitPause(events *os.File) {
	var buffer [4096]byte
	for {
		if _, err := events.Read(buffer[:]); err != nil {
			return
		}
		select {
		case w.paused <- struct{}{}:
		default: // one look is enough
		}
	}
}

// Resume ends the rest, and says whether there was one. Without one a watch hears of it all the same: what it leaves alone it makes again.
func Resume(run string) (was bool, err error) {
	err = os.Remove(pausePath(run))
	if !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	sign := filepath.Join(run, folder, "resumed")
	if err = plainfile.Write(sign, nil); err == nil {
		err = os.Remove(sign)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // nobody has ever watched, or another has just done the same
	}
	return false, err
}

// Paused returns the rest that there is at the time, nil for none. A file that cannot be read is a rest without an end: somebody meant something.
func Paused(run string, now time.Time) *Pause {
	text, err := plainfile.Read(pausePath(run))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var p Pause
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return &Pause{Why: "its file cannot be read: " + err.Error()}
	}
	if !p.Until.IsZero() && !p.Until.After(now) {
		return nil
	}
	return &p
}
