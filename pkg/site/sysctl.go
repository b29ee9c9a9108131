package site

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/procfile"
)

// Sysctl returns the value of a key below /proc/sys/net, written with slashes (net/ipv4/ip_forward), so that interface names with dots are safe.
// It says false when the kernel has no such key: a protocol family that is off, an interface that is gone.
func (s *Side) Sysctl(key string) (value string, known bool, err error) {
	err = s.settings(key, func(dir int, key string) error {
		value, err = setting(dir, key)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}

// SetSysctl writes the value unless it is there already, and says whether it wrote.
func (s *Side) SetSysctl(key, value string) (changed bool, err error) {
	err = s.settings(key, func(dir int, key string) error {
		was, err := setting(dir, key)
		if err != nil || was == value {
			return err
		}
		changed = true
		return procfile.WriteIn(dir, key, value)
	})
	return changed && err == nil, err
}

// settings runs f in the namespace with the directory that the key is in, net/ipv4 or net/ipv6, and the rest of the key. To find that directory
// costs the kernel a look at the one of every other namespace, half a millisecond at a thousand containers, since all have one name in
// one place (proc_sys_compare in fs/proc/proc_sysctl.c); what is in it costs nothing of the kind. So each is opened once.
func (s *Side) settings(key string, f func(dir int, key string) error) error {
	return s.Do(func() error {
		end := len("net/") + strings.IndexByte(strings.TrimPrefix(key, "net/"), '/')
		name, rest := "/proc/sys/"+key[:end], key[end+1:]
		dir, opened := s.sys[name]
		if !opened {
			var err error
			if dir, err = unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
				return &fs.PathError{Op: "open", Path: name, Err: err}
			}
			s.sys[name] = dir
		}
		return f(dir, rest)
	})
}

func setting(dir int, key string) (string, error) {
	text, err := procfile.ReadIn(dir, key)
	return strings.TrimSpace(string(text)), err
}
