package site

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/trestle-cni/trestle/pkg/procfile"
)

// Sysctl returns the value of a key below /proc/sys, written with slashes (net/ipv4/ip_forward), so that interface names with dots are safe.
// It says false when the kernel has no such key: a protocol family that is off, an interface that is gone.
func (s *Side) Sysctl(key string) (value string, known bool, err error) {
	err = s.Do(func() error {
		value, err = setting(key)
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
		was, err := setting(key)
		if err != nil || was == value {
			return err
		}
		changed = true
		return procfile.Write("/proc/sys/"+key, value)
	})
	return changed && err == nil, err
}

func setting(key string) (string, error) {
	text, err := procfile.Read("/proc/sys/" + key)
	return strings.TrimSpace(string(text)), err
}
