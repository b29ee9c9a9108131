package ipam

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Usable says whether reservations of the network could be written now, without writing any: a few bytes go to a file without a
// name on the same file system. Where the network's directory is not there yet, the nearest directory above it answers.
func Usable(dataDir, network string) error {
	dir, err := nearest(filepath.Join(dataDir, network))
	if err == nil {
		defer dir.Close()
		err = tryWrite(dir)
	}
	if err != nil {
		return fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	return nil
}

func nearest(path string) (*os.File, error) {
	for {
		dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return dir, err
		}
		path = filepath.Dir(path)
	}
}

func tryWrite(dir *os.File) error {
	file, err := anonymous(dir)
	if err != nil {
		return &os.PathError{Op: "write in", Path: dir.Name(), Err: err}
	}
	if file == nil { // no such files here: ask for the permission at least
		return unix.Faccessat(int(dir.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}
	defer file.Close()
	_, err = file.WriteString("0")
	return err
}
