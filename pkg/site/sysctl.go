package site

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// Sysctl returns the value of a key below /proc/sys, written with slashes (net/ipv4/ip_forward), so that interface names with dots are safe.
// It says false when the kernel has no such key: a protocol family that is off, an interface that is gone.
func (s *Side) Sysctl(key string) (value string, known bool, err error) {
	err = s.do(func() error {
		text, err := os.ReadFile("/proc/sys/" + key)
		value = strings.TrimSpace(string(text))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}

// SetSysctl writes the value unless it is there already, and says whether it wrote.
func (s *Side) SetSysctl(key, value string) (changed bool, err error) {
	err = s.do(func() error {
		text, err := os.ReadFile("/proc/sys/" + key)
		if err != nil || strings.TrimSpace(string(text)) == value {
			return err
		}
		changed = true
		return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644)
	})
	return changed && err == nil, err
}
