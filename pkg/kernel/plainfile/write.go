package plainfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	return put(path, text, 0)
}

// Durable is a Write after which a loss of power leaves the old file or the new one.
func Durable(path string, text []byte) error {
	dir := filepath.Dir(path)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = put(path, text, unix.O_SYNC)
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

// Publish does so for everybody to read, in a directory that is there. Several may at once, of whom one is the last: each writes a file of its own, and what is there is whole.
func Publish(path string, text []byte) error {
	dir, name := filepath.Dir(path), filepath.Base(half(path))+"."
	sweep(dir, name)
	file, err := os.CreateTemp(dir, name+"*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	return named(file.Name(), path, err)
}

// sweep removes what kills have left of those who published under the name: what nobody has written to for a minute.
func sweep(dir, name string) {
	files, _ := os.ReadDir(dir) // who cannot list it may write into it all the same
	for _, file := range files {
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() && strings.HasPrefix(file.Name(), name) && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(filepath.Join(dir, file.Name()))
		}
	}
}

// put writes the file. Whoever calls has a lock, or is the only one.
func put(path string, text []byte, flags int) error {
	err := removed(half(path))
	if err == nil {
		err = writeNew(half(path), text, flags)
	}
	return named(half(path), path, err)
}

// named gives what was written its name; an empty directory in its place goes: whoever mounts a file that is not there yet makes one of its name. What was not written
// goes.
func named(written, path string, err error) error {
	if err == nil {
		err = os.Rename(written, path)
	}
	if errors.Is(err, fs.ErrExist) && unix.Rmdir(path) == nil {
		err = os.Rename(written, path)
	}
	if err != nil {
		_ = os.Remove(written) // on a disk that is full it has the last of the room
	}
	return err
}

func writeNew(path string, text []byte, flags int) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|flags, 0o600)
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
