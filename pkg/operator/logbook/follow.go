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
	wanted := q.filter(each)
	for _, path := range []string{file + ".1", file} {
		t := tail{path: path}
		defer t.close()
		for on := true; on; {
			if on, err = t.more(wanted); err != nil || !on {
				return err
			}
			if on = path == file; !on {
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
	path  string
	file  *os.File // nil: there was none yet
	lines *lines
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
		t.close()
		t.file, t.lines = next, linesOf(next)
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
