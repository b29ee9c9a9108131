package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// part is the lock of the 8 bytes of a file that begin at at: an open file description lock of fcntl(2), which ends with the file.
func part(at int64) unix.Flock_t { return unix.Flock_t{Type: unix.F_WRLCK, Start: at &^ 7, Len: 8} }

// Part locks the 8 bytes around at, so that many who do not mind each other have their locks in one file.
func Part(file *os.File, at int64, wait bool) error {
	lock, how := part(at), unix.F_OFD_SETLK
	if wait {
		how = unix.F_OFD_SETLKW
	}
	return unix.FcntlFlock(file.Fd(), how, &lock)
}

// PartTaken says whether somebody has locked the 8 bytes around at. It waits for nobody, and locks nothing. Where there is no file there is no lock.
func PartTaken(path string, at int64) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	lock := part(at)
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false, &os.PathError{Op: "F_OFD_GETLK", Path: path, Err: err}
	}
	return lock.Type != unix.F_UNLCK, nil
}
