// Package plainfile reads what others wrote, as far as it is of a sensible size, and waits for nobody: in a directory that others may write there may
// be anything under any name. What it writes is there whole or not at all.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Most is how many bytes of anything are taken: a thousand times more than is ever meant.
const Most = 16 << 20

// Read returns what the file has. A pipe or a socket is an error, where os.ReadFile would wait for whoever is at its other end.
func Read(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, err
	}
	data, err := All(file)
	if errors.Is(err, errMore) {
		err = &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return data, err
}

var errMore = fmt.Errorf("more than %d MiB", Most>>20)

// All is io.ReadAll of what is of a sensible size.
func All(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, Most+1))
	if err == nil && len(data) > Most {
		return nil, errMore
	}
	return data, err
}
