package plainfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// half is what a file is called while it is written.
func half(path string) string { return path + ".half" }

// Absent says whether err means that there is no such file, as under a name that is longer than any file's, or below what is no folder.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.ENOTDIR)
}

// Write puts the file in its place, for its owner alone to read, and makes its directory. What is there under either name is not written to: it may be a link
// to somebody else's file, or a pipe.
func Write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return put(path, text, 0o600, 0)
}

// Durable is a Write after which a loss of power leaves the old file or the new one.
func Durable(path string, text []byte) error {
	dir := filepath.Dir(path)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = put(path, text, 0o600, unix.O_SYNC)
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Publish does so for everybody to read, in a directory that is there.
func Publish(path string, text []byte) error { return put(path, text, 0o644, 0) }

// put writes the file; an empty directory in its place goes: whoever mounts a file that is not there yet makes one of its name.
func put(path string, text []byte, mode os.FileMode, flags int) error {
	err := removed(half(path))
	if err == nil {
		err = writeNew(half(path), text, mode, flags)
	}
	if err == nil {
		err = os.Rename(half(path), path)
	}
	if errors.Is(err, fs.ErrExist) && unix.Rmdir(path) == nil {
		err = os.Rename(half(path), path)
	}
	if err != nil {
		_ = os.Remove(half(path)) // on a disk that is full it has the last of the room
	}
	return err
}

func writeNew(path string, text []byte, mode os.FileMode, flags int) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|flags, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// Remove removes the file and what a kill left of a Write. That there is none is no error.
func Remove(path string) error {
	return errors.Join(removed(half(path)), removed(path))
}

// removed has there be no such file.
func removed(path string) error {
	if err := os.Remove(path); err != nil && !Absent(err) {
		return err
	}
	return nil
}
