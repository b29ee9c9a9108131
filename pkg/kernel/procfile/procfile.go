// Package procfile reads and writes the small files by which the kernel tells and is told, with three system calls each. Package os would register
// every file with the runtime's poller first, which takes longer than to read it. It waits for nobody, since our own small files are read so, too, and
// somebody may have put a pipe in the place of one.
package procfile

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// most is far more than any of these files has.
const most = 1 << 20

// Read returns what the file has. Most have less than 128 bytes, and come with one read.
func Read(path string) ([]byte, error) { return ReadIn(unix.AT_FDCWD, path) }

// ReadIn is Read with a path that is looked for in an open directory.
func ReadIn(dir int, path string) ([]byte, error) {
	file, err := open(dir, path, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(file)
	text := make([]byte, 0, 128)
	for {
		n, err := unix.Read(file, text[len(text):cap(text)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return text, nil
		}
		if text = text[:len(text)+n]; len(text) < cap(text) {
			return text, nil
		}
		if len(text) > most {
			return nil, &fs.PathError{Op: "read", Path: path, Err: unix.EFBIG}
		}
		text = append(text, make([]byte, cap(text))...)[:len(text)]
	}
}

// WriteIn gives the file a value, in one write as the kernel wants it. The path is looked for in an open directory; it makes no file.
func WriteIn(dir int, path, value string) error {
	file, err := open(dir, path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	if _, err := unix.Write(file, []byte(value)); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func open(dir int, path string, how int) (int, error) {
	for {
		file, err := unix.Openat(dir, path, how|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil || !errors.Is(err, unix.EINTR) {
			if err != nil {
				return -1, &fs.PathError{Op: "open", Path: path, Err: err}
			}
			return file, nil
		}
	}
}
