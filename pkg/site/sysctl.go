package site

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// Sysctl returns the value of a key below /proc/sys, written with slashes (net/ipv4/ip_forward), so that interface names with dots are safe.
// It says false when the kernel has no such key: a protocol family that is off, an interface that is gone.
func (s *Side) Sysctl(key string) (value string, known bool, err error) {
	err = s.Do(func() error {
		value, err = setting(key, "")
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}

// SetSysctl writes the value unless it is there already, and says whether it wrote.
func (s *Side) SetSysctl(key, value string) (changed bool, err error) {
	err = s.Do(func() error {
		was, err := setting(key, "")
		if err != nil || was == value {
			return err
		}
		changed = true
		_, err = setting(key, value)
		return err
	})
	return changed && err == nil, err
}

// setting reads a key or, where there is a value, writes it. Package os would ask the kernel to tell of changes to each file, which takes longer
// than to read it.
func setting(key, value string) (string, error) {
	how := unix.O_RDONLY
	if value != "" {
		how = unix.O_WRONLY
	}
	file, err := unix.Open("/proc/sys/"+key, how|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: "/proc/sys/" + key, Err: err}
	}
	defer unix.Close(file)
	if value != "" {
		_, err = unix.Write(file, []byte(value))
		return value, pathError("write", key, err)
	}
	var text [128]byte
	n, err := unix.Read(file, text[:])
	return strings.TrimSpace(string(text[:max(n, 0)])), pathError("read", key, err)
}

func pathError(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: "/proc/sys/" + key, Err: err}
}
