package ipam

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPlanted puts links and pipes where our files go. Nothing is written through them, nobody waits, and the reservation is made.
func TestPlanted(t *testing.T) {
	for kind, plant := range map[string]func(path, victim string) error{
		"symbolic link": func(path, victim string) error { return os.Symlink(victim, path) },
		"dangling link": func(path, victim string) error { return os.Symlink(victim+"-to-come", path) },
		"hard link":     func(path, victim string) error { return os.Link(victim, path) },
		"pipe":          func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"folder":        func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		for _, name := range []string{side, side + "/net", side + "/net~", "net/last_reserved_ip.0"} {
			t.Run(kind+" at "+filepath.Base(name), func(t *testing.T) {
				top := t.TempDir()
				dir, victim := filepath.Join(top, "networks"), filepath.Join(top, "victim")
				must(t, os.MkdirAll(filepath.Join(dir, "net"), 0o755))
				if name != side {
					must(t, os.Mkdir(filepath.Join(dir, side), 0o755))
				}
				must(t, os.WriteFile(victim, []byte("precious"), 0o600))
				if err := plant(filepath.Join(dir, name), victim); err != nil {
					t.Fatal(err)
				}
				for i, text := range []string{"10.1.0.2", "10.1.0.3"} {
					s := open(t, dir)
					must(t, s.Reserve(addr(text), Attachment{Holder: Holder{ContainerID: "c" + text, IfName: "eth0"}}))
					if err := s.SetLast(0, addr(text)); err != nil && kind != "folder" {
						t.Errorf("call %d: %v", i, err)
					}
					must(t, s.Close())
				}
				if text, err := os.ReadFile(victim); string(text) != "precious" || err != nil {
					t.Errorf("the other's file has %q, %v", text, err)
				}
				if _, err := os.Lstat(victim + "-to-come"); err == nil {
					t.Error("a file was made at the other end of the link")
				}
			})
		}
	}
}

// A directory of ours that leads elsewhere is not used.
func TestPlantedDirectory(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	must(t, os.Symlink(elsewhere, filepath.Join(dir, side)))
	s := open(t, dir)
	must(t, s.Reserve(addr("10.1.0.2"), Attachment{Holder: Holder{ContainerID: "c1", IfName: "eth0"}}))
	must(t, s.SetLast(0, addr("10.1.0.2")))
	must(t, s.Close())
	if entries, err := os.ReadDir(elsewhere); len(entries) > 0 || err != nil {
		t.Errorf("written elsewhere: %v, %v", entries, err)
	}
}
