// Package netns works in a network namespace, for what is bound to the thread: new sockets, sysctls.
package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f on a thread in the namespace, and brings the thread back to home. f must not start goroutines that rely on it. A thread that cannot come
// back must not run anything of home's any more, so the process ends: a DEL finds what was begun, as after a kill.
func Do(namespace, home int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
		return err
	}
	defer func() {
		if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
			panic(fmt.Sprintf("no way back from a network namespace: %v", err))
		}
	}()
	return f()
}

// Trial runs f on a thread in a new namespace, which is thrown away afterwards with all that f made there. f must not start goroutines.
func Trial(f func() error) error {
	home, err := Home()
	if err != nil {
		return err
	}
	defer unix.Close(home)
	return Do(home, home, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// Home opens the namespace of the thread, which is the host's.
func Home() (int, error) {
	return unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// Number returns the inode number of the namespace at the path, by which namespaces are told apart; 0 for what is none.
func Number(path string) uint64 {
	var stat unix.Stat_t
	var fs unix.Statfs_t
	if unix.Stat(path, &stat) != nil || unix.Statfs(path, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		return 0
	}
	return stat.Ino
}

// NumberOf is Number of a namespace that is open.
func NumberOf(fd int) (uint64, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return stat.Ino, err
}

// Open opens the namespace of that number by a path that led to it; the error is ESRCH where the name, or the process's number, was used again since. It waits for
// nobody: the path may be that of a FIFO by now.
func Open(path string, number uint64) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	there, err := NumberOf(int(file.Fd()))
	if err == nil && there != number {
		err = unix.ESRCH
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
