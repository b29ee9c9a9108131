package plainfile

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPlanted has something under either name of what is written: nothing is written through it, nobody waits, and it is not left. A folder with something in
// it stays, and is named.
func TestPlanted(t *testing.T) {
	for kind, plant := range map[string]func(path, victim string) error{
		"symbolic link":  func(path, victim string) error { return os.Symlink(victim, path) },
		"dangling link":  func(path, victim string) error { return os.Symlink(victim+"-to-come", path) },
		"link to itself": func(path, _ string) error { return os.Symlink(path, path) },
		"hard link":      func(path, victim string) error { return os.Link(victim, path) },
		"pipe":           func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"empty folder":   func(path, _ string) error { return os.Mkdir(path, 0o700) },
		"socket":         func(path, _ string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"torn":           func(path, _ string) error { return os.WriteFile(path, []byte("longer than what is to come"), 0o600) },
	} {
		for _, name := range []string{"file", half("file")} {
			t.Run(kind+" at "+name, func(t *testing.T) {
				dir := t.TempDir()
				path, victim := filepath.Join(dir, "file"), filepath.Join(dir, "victim")
				if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := plant(filepath.Join(dir, name), victim); err != nil {
					t.Fatal(err)
				}
				if err := Write(path, []byte("text")); err != nil {
					t.Error(err)
				}
				if text, err := Read(path); string(text) != "text" || err != nil {
					t.Errorf("read back: %q, %v", text, err)
				}
				if text, err := os.ReadFile(victim); string(text) != "precious" || err != nil {
					t.Errorf("the other's file has %q, %v", text, err)
				}
				if err := Remove(path); err != nil {
					t.Error(err)
				}
				if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
					t.Errorf("left: %v, %v", entries, err)
				}
			})
		}
	}
}

// TestPlantedFolder has a folder there that is not empty, which is not ours to remove.
func TestPlantedFolder(t *testing.T) {
	for _, name := range []string{"file", half("file")} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, name, "theirs"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Write(filepath.Join(dir, "file"), []byte("text")); err == nil {
			t.Errorf("folder at %s: written", name)
		}
		if _, err := os.Stat(filepath.Join(dir, name, "theirs")); err != nil {
			t.Errorf("folder at %s: %v", name, err)
		}
	}
}

// TestPublish has a file that others read: it is replaced whole, and what cannot be replaced stays as it is.
func TestPublish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics")
	for _, text := range []string{"first", "second"} {
		if err := Publish(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o444 != 0o444 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if err := os.Mkdir(path+".half", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path+".half", "full"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Publish(path, []byte("third")); err == nil {
		t.Error("written over a folder")
	}
	if text, _ := os.ReadFile(path); string(text) != "second" {
		t.Errorf("left %q", text)
	}
	if err := Publish(filepath.Join(path, "none", "metrics"), nil); err == nil {
		t.Error("written where there is no folder")
	}
}
