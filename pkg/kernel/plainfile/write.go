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

// Absent says whether err means that there is no such file, as under a name that is longer than any file's.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENAMETOOLONG)
}

// Write puts the file in its place, for its owner alone to read, and makes its directory.
func Write(path string, text []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(half(path), text, 0o600)
	}
	if err == nil {
		err = os.Rename(half(path), path)
	}
	return err
}

// Remove removes the file and what a kill left of a Write. That there is none is no error.
func Remove(path string) error {
	var errs []error
	for _, file := range []string{half(path), path} {
		if err := os.Remove(file); err != nil && !Absent(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
