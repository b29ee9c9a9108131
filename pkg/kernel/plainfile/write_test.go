package plainfile

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

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

// TestPublish has a file that others read: it is replaced whole, what a kill left goes, and what cannot be replaced stays as it is.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics")
	left, new := half(path)+".123", half(path)+".456"
	for _, name := range []string{left, new} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(left, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first", "second"} {
		if err := Publish(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); len(entries) != 2 || err != nil { // the file, and what may be at work
		t.Errorf("there are %v, %v", entries, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "folder", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "folder"), filepath.Join(path, "none", "metrics")} {
		if err := Publish(path, []byte("third")); err == nil {
			t.Errorf("%s: written", path)
		}
	}
	if text, _ := os.ReadFile(path); string(text) != "second" {
		t.Errorf("left %q", text)
	}
}

// TestPublishTogether has several publish under one name, again and again, while others read: what is read is whole, and nobody fails.
func TestPublishTogether(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics")
	if err := Publish(path, bytes.Repeat([]byte("x"), 1<<16)); err != nil {
		t.Fatal(err)
	}
	var all, readers sync.WaitGroup
	ended := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				text, err := os.ReadFile(path)
				if err != nil || len(text) != 1<<16 || len(bytes.Trim(text, string(text[:1]))) > 0 {
					t.Errorf("read %d bytes, %v", len(text), err)
				}
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	for _, letter := range "abcdefgh" {
		all.Go(func() {
			for range 50 {
				if err := Publish(path, bytes.Repeat([]byte(string(letter)), 1<<16)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(ended)
	readers.Wait()
	if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}
