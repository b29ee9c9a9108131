package plainfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"small":  func(path string) error { return os.WriteFile(path, []byte("text"), 0o600) },
		"link":   func(path string) error { return os.Symlink("small", path) },
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"large": func(path string) error {
			err := os.WriteFile(path, nil, 0o600)
			if err == nil {
				err = os.Truncate(path, Most+1)
			}
			return err
		},
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"small": "", "link": "", "pipe": "not a regular file", "folder": "is a directory",
		"large": "more than 16 MiB", "none": "no such file"} {
		text, err := Read(filepath.Join(dir, name))
		switch {
		case want == "" && (string(text) != "text" || err != nil):
			t.Errorf("%s: %q, %v", name, text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, name))):
			t.Errorf("%s: %v, want %q with the path", name, err, want)
		}
	}
}
