package procfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{0, 1, 127, 128, 129, 255, 256, 257, 5000} {
		want := strings.Repeat("x", size)
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(file); string(got) != want || err != nil {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	if _, err := Read(file + "x"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read("/proc/self"); err == nil {
		t.Error("a directory was read")
	}
	if got, err := Read("/proc/sys/kernel/ostype"); string(got) != "Linux\n" || err != nil {
		t.Errorf("ostype: %q, %v", got, err)
	}
}

// TestPlanted has in the place of a file what would be waited for, or never ends.
func TestPlanted(t *testing.T) {
	dir := t.TempDir()
	for name, plant := range map[string]func(path string) error{
		"pipe":    func(path string) error { return unix.Mkfifo(path, 0o600) },
		"socket":  func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"endless": func(path string) error { return os.Symlink("/dev/zero", path) },
		"loop":    func(path string) error { return os.Symlink(path, path) },
	} {
		path := filepath.Join(dir, name)
		if err := plant(path); err != nil {
			t.Fatal(err)
		}
		if text, err := Read(path); len(text) > 0 || err == nil && name != "pipe" {
			t.Errorf("%s: read %d bytes, %v", name, len(text), err)
		}
		if err := WriteIn(unix.AT_FDCWD, path, "1"); err == nil && name != "endless" {
			t.Errorf("%s: written to", name)
		}
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := WriteIn(unix.AT_FDCWD, file, "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteIn(unix.AT_FDCWD, file, "1"); err != nil {
		t.Error(err)
	}
	if got, err := Read(file); string(got) != "1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := WriteIn(unix.AT_FDCWD, "/proc/sys/kernel/ostype", "x"); err == nil {
		t.Error("wrote to what only tells")
	}
}
