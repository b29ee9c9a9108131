package tool

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

const stayText = "stay, until it is ended: what a DaemonSet expects of its program"

// ended is a context that ends when somebody asks the program to.
func ended(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
}

// stay installs, and again whenever a name is gone or somebody else's, until the context ends. The directory is watched before it is looked at, so
// nothing falls between the two; what is found as it should be is left alone, so its own changes do not keep it busy.
func (i Installation) stay(ctx context.Context, tell func(installAnswer) error) error {
	changes, err := watch(i.Dir)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { changes.Close() })()
	defer changes.Close()
	for events := make([]byte, 64<<10); ; {
		if lost, err := i.lost(); err != nil {
			return err
		} else if lost {
			did, err := i.Install()
			if err := errors.Join(err, tell(did)); err != nil {
				return err
			}
		}
		if _, err := changes.Read(events); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// watch returns a file that is read from when a name in the directory has changed (inotify(7)).
func watch(dir string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	file := os.NewFile(uintptr(fd), dir)
	const changed = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_CLOSE_WRITE | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, dir, changed); err != nil {
		file.Close()
		return nil, &os.PathError{Op: "watch", Path: dir, Err: err}
	}
	return file, nil
}

// lost says whether a name is gone, or somebody else's.
func (i Installation) lost() (bool, error) {
	for _, name := range i.Names {
		if !ours(i.path(name)) {
			_, err := os.Stat(i.Dir)
			return true, err
		}
	}
	return false, nil
}
