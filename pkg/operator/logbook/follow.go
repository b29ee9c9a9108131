package logbook

import (
	"bytes"
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
	watch, err := watchDirectory(filepath.Dir(log.File))
	if err != nil {
		return err
	}
	defer watch.Close()
	defer context.AfterFunc(ctx, func() { watch.Close() })()
	wanted := func(line []byte) bool {
		e, ok := parse(line)
		return !ok || !q.Wants(&e) || each(e)
	}
	for _, path := range []string{log.File + ".1", log.File} {
		t := tail{path: path}
		defer t.close()
		for on := true; on; {
			if on, err = t.more(wanted); err != nil || !on {
				return err
			}
			if on = path == log.File; !on {
				break
			}
			if _, err := watch.Read(make([]byte, 4096)); err != nil {
				return ctx.Err()
			}
		}
	}
	return nil
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

// tail reads the lines of a file as they come, also of the one that takes its place.
type tail struct {
	path string
	file *os.File // nil: there was none yet
	rest []byte   // a line that has no end yet
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// more calls each with the lines that have come since, until it says false, and says whether it did not.
func (t *tail) more(each func(line []byte) bool) (bool, error) {
	for {
		if t.file != nil {
			if on, err := t.drain(each); !on || err != nil {
				return false, err
			}
		}
		next, err := t.next()
		if next == nil || err != nil {
			return err == nil, err
		}
		t.close()
		t.file, t.rest = next, nil
	}
}

// next is the file under the name, if it is not the one that is open.
func (t *tail) next() (*os.File, error) {
	file, err := openFile(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || t.file == nil {
		return file, err
	}
	if same(file, t.file) {
		file.Close()
		return nil, nil
	}
	return file, nil
}

func (t *tail) drain(each func(line []byte) bool) (bool, error) {
	text, err := io.ReadAll(t.file)
	if err != nil {
		return false, err
	}
	t.rest = append(t.rest, text...)
	for {
		line, rest, whole := bytes.Cut(t.rest, []byte("\n"))
		if !whole {
			t.rest = t.rest[max(0, len(t.rest)-longest):] // what is longer is no line of ours
			return true, nil
		}
		if t.rest = rest; !each(line) {
			return false, nil
		}
	}
}
