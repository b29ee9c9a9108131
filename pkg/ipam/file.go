package ipam

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A reservation file appears whole or not at all: an anonymous file is written, then linked to its name, which keeps the
// exclusiveness of O_EXCL and shows no temporary name to the reference, whose scans read every file of the directory.

// createWhole makes the file name in dir, with mode 0600 less the umask, and its record. The error is fs.ErrExist when there is
// one. A file system that keeps no attributes leaves the record out.
func createWhole(dir *os.File, name, content string, record []byte) error {
	file, err := anonymous(dir)
	if err != nil {
		return err
	}
	if file == nil {
		return createExclusive(dir, name, content, record)
	}
	defer file.Close()
	if _, err := file.WriteString(content); err != nil {
		return err
	}
	keepRecord(int(file.Fd()), record)
	err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(file.Fd())), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EXDEV) { // no /proc, or an odd file system
		return createExclusive(dir, name, content, record)
	}
	return err
}

// anonymous opens a file without a name on dir's file system; nil where that has none (O_TMPFILE in open(2) lists the errors).
func anonymous(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch err {
	case nil:
		return os.NewFile(uintptr(fd), dir.Name()), nil
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL:
		return nil, nil
	default:
		return nil, err
	}
}

// createExclusive is what the reference does. A crash between its two steps leaves an empty file, which is a free address.
func createExclusive(dir *os.File, name, content string, record []byte) error {
	file, err := openIn(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(content); err != nil {
		return errors.Join(err, removeIn(dir, name))
	}
	keepRecord(int(file.Fd()), record)
	return nil
}

// writeNew makes the file anew. What was there under the name is not written to: it may be a link to somebody else's file, or a pipe.
func writeNew(dir *os.File, name, content string) error {
	file, err := openNew(dir, name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(content)
	return err
}

// openNew makes the file anew, and empty.
func openNew(dir *os.File, name string, how int) (*os.File, error) {
	if err := removeIn(dir, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return openIn(dir, name, how|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

// openOwn opens a file for reading and writing, and makes it; anew where that is not a plain file which has no other name.
func openOwn(dir *os.File, name string) (*os.File, error) {
	file, err := openIn(dir, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return openNew(dir, name, unix.O_RDWR)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Nlink != 1 {
		file.Close()
		return openNew(dir, name, unix.O_RDWR)
	}
	return file, nil
}

// fileRoom is the most that is read of a file: far more than an identity is long.
const fileRoom = 4096

// readIn returns the content of a small regular file. Pipes and devices do not make it wait, links are not followed.
func readIn(dir *os.File, name string) ([]byte, error) {
	var buf [fileRoom]byte
	content, _, err := readWith(dir, name, buf[:], nil)
	return bytes.Clone(content), err
}

// readWith returns the file's content and what more there is of it, nil where there is nothing; both lie in buf. A scan comes here for each of thousands of
// files, so it makes no os.File of them.
func readWith(dir *os.File, name string, buf []byte, more func(fd int, buf []byte) (int, error)) (content, value []byte, err error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	n := 0
	for rest := true; rest; {
		got, err := unix.Read(fd, buf[n:])
		if err != nil && err != unix.EINTR {
			return nil, nil, err
		}
		n, rest = n+max(got, 0), got != 0
		if n == len(buf) {
			return nil, nil, fmt.Errorf("%s: longer than %d bytes", name, len(buf)-1)
		}
	}
	if more == nil {
		return buf[:n], nil, nil
	}
	size, err := more(fd, buf[n:])
	if err != nil {
		return buf[:n], nil, nil
	}
	return buf[:n], buf[n : n+size], nil
}

func openIn(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir.Name() + "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), dir.Name()+"/"+name), nil
}

func removeIn(dir *os.File, name string) error {
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil {
		return &os.PathError{Op: "remove", Path: dir.Name() + "/" + name, Err: err}
	}
	return nil
}
