package ipam

import (
	"errors"
	"fmt"
	"io"
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
	_ = unix.Fsetxattr(int(file.Fd()), recordName, record, 0)
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
	_ = unix.Fsetxattr(int(file.Fd()), recordName, record, 0)
	return nil
}

// fileRoom is the most that is read of a file: far more than an identity is long.
const fileRoom = 4096

// openSmall opens a file to be read by readSmall. Pipes and devices do not make it wait, links are not followed.
func openSmall(dir *os.File, name string) (*os.File, error) {
	return openIn(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// readSmall returns the file's content, with room behind it.
func readSmall(file *os.File) ([]byte, error) {
	buf := make([]byte, fileRoom)
	n, err := io.ReadFull(file, buf)
	switch {
	case err == nil:
		return nil, fmt.Errorf("%s: longer than %d bytes", file.Name(), fileRoom-1)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	}
	return buf[:n], nil
}

// readIn returns the file's content.
func readIn(dir *os.File, name string) ([]byte, error) {
	file, err := openSmall(dir, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSmall(file)
}

// readRecordIn returns the file's content and its record, nil where it has none.
func readRecordIn(dir *os.File, name string) (content, record []byte, err error) {
	file, err := openSmall(dir, name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	content, err = readSmall(file)
	if err != nil {
		return nil, nil, err
	}
	record = content[len(content):cap(content)]
	size, err := unix.Fgetxattr(int(file.Fd()), recordName, record)
	if err != nil {
		return content, nil, nil
	}
	return content, record[:size], nil
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
