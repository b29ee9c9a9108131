package logbook

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/journal"
)

// Follow calls each with the entries wanted that are there, and then with those that come, until ctx ends or each says false. The kernel wakes it when
// the file grows or another takes its place (inotify(7)).
func Follow(ctx context.Context, log journal.Log, q Query, each func(journal.Entry) bool) error {
	if log.To != "file" {
		return fault.New(fault.Unsupported, "journalctl -f -t trestle -o cat", "--follow: the log is not in a file")
	}
	file := behind(log.File)
	watch, err := watchDirectory(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer watch.Close()
	defer context.AfterFunc(ctx, func() { watch.Close() })()
	t, wanted := tail{path: file}, q.filter(each)
	defer t.close()
	for {
		if on, err := t.more(wanted); err != nil || !on {
			return err
		}
		if _, err := watch.Read(make([]byte, 4096)); err != nil {
			return ctx.Err()
		}
	}
}

// watchDirectory is a file that can be read when something in the directory was written, made or renamed.
func watchDirectory(dir string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fault.New(fault.IO, "raise fs.inotify.max_user_instances", "inotify: %w", err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		watch.Close()
		return nil, fault.New(fault.IO, "make the directory of the log", "%s: %w", dir, err)
	}
	return watch, nil
}

// tail reads the lines of the file before and of the file, as they come, and of all that take its place, one after the other.
type tail struct {
	path   string
	file   *os.File // that is read; nil: there was none yet
	before *os.File // that has the name of the one before, and was read. It stays open, so that no other has its number
	lines  *lines
}

func (t *tail) close() {
	t.file.Close()
	t.before.Close()
}

// more calls each with the lines that have come since, until it says false, and says whether it did not.
func (t *tail) more(each func(line []byte) bool) (bool, error) {
	for {
		if t.file != nil {
			if err := t.rewind(); err != nil {
				return false, err
			}
			if on, err := t.lines.each(each); !on || err != nil {
				return false, err
			}
		}
		next, err := t.next()
		if next == nil || err != nil {
			return err == nil, err
		}
		t.file.Close()
		t.file, t.lines = next, linesOf(next)
	}
}

// next is the oldest file that was not read yet: where two took the place of the one that is open, the first of them is the file before by now.
func (t *tail) next() (next *os.File, _ error) {
	for i, path := range []string{t.path, t.path + ".1"} { // the newer first: what becomes the other meanwhile is not lost
		switch file, err := openFile(path); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			next.Close()
			return nil, err
		case !same(file, t.file) && !same(file, t.before):
			next.Close()
			next = file
		case i == 1:
			t.before.Close()
			t.before = file
		default:
			file.Close()
		}
	}
	return next, nil
}

// rewind begins anew where somebody has made the file shorter.
func (t *tail) rewind() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	at, err := t.file.Seek(0, io.SeekCurrent)
	if err != nil || info.Size() >= at {
		return err
	}
	t.lines = linesOf(t.file)
	_, err = t.file.Seek(0, io.SeekStart)
	return err
}
