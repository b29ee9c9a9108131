package agent

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// breath is for how long what happens to files is left to gather before it is looked at.
const breath = 50 * time.Millisecond

// happenings are what is heard of a directory: a file in it comes, goes or is written, or the directory itself goes.
const happenings = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CLOSE_WRITE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// listen wakes who waits at the channel when something happens in the directories: inotify(7). One that is not there is made; one that somebody removes, too.
func listen(ctx context.Context, pulled chan struct{}, dirs ...string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fault.New(fault.IO, "raise fs.inotify.max_user_instances", "inotify: %w", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if err := watchAll(file, dirs); err != nil {
		file.Close()
		return err
	}
	context.AfterFunc(ctx, func() { file.Close() })
	go func() {
		for events := make([]byte, 64<<10); ; {
			if _, err := file.Read(events); err != nil {
				return
			}
			if Sleep(ctx, breath); ctx.Err() != nil {
				return // what is made now nobody takes away
			}
			_ = watchAll(file, dirs) // what has become of it shows when the files are written
			Pull(pulled)
		}
	}()
	return nil
}

// watchAll watches the directories as they are now.
func watchAll(file *os.File, dirs []string) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		watched := os.MkdirAll(dir, 0o755)
		if watched == nil {
			err = raw.Control(func(fd uintptr) { _, watched = unix.InotifyAddWatch(int(fd), dir, happenings) })
		}
		if err := errors.Join(err, watched); err != nil {
			return fault.New(fault.IO, "is it a directory, and writable? Is fs.inotify.max_user_watches used up?", "%s: watch: %w", dir, err)
		}
	}
	return nil
}
