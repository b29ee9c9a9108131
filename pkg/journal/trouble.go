package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Trouble says why no line of the host's journal can be written: nil where one can, or none is kept. It changes nothing.
func Trouble() error {
	log, err := Read()
	switch {
	case err != nil:
		return err
	case log.To == "journald":
		_, err := os.Stat(socket)
		return err
	case log.To == "file":
		return log.trouble()
	}
	return nil
}

func (l Log) trouble() error {
	path := l.File
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		path = filepath.Dir(path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file", path)
	case l.stuck(info.Size()):
		return fmt.Errorf("%s: is full, and cannot become %[1]s.1", path)
	}
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	var room unix.Statfs_t
	if err := unix.Statfs(path, &room); err == nil && room.Bavail == 0 {
		return &fs.PathError{Op: "write", Path: path, Err: unix.ENOSPC}
	}
	return nil
}
