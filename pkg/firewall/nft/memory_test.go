package nft

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// ruleset is the digest of the constant part in the words of nft(8), testdata/inet.nft and bridge.nft.
const ruleset = "v6 6b3be0c170091dc5"

// A table of this version that is remembered as whole is not looked at. So whoever changes it raises the version.
func TestVersionIsRaised(t *testing.T) {
	var text []byte
	for _, name := range []string{"testdata/inet.nft", "testdata/bridge.nft"} {
		part, err := os.ReadFile(name)
		must(t, err)
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	if got := fmt.Sprintf("v%d %s", version, hex.EncodeToString(sum[:8])); got != ruleset {
		t.Errorf("the ruleset is %s, was %s: raise the version (table.go) if it is not raised, then note the digest here", got, ruleset)
	}
}

// remembering is a filter whose memory knows the present generation.
func remembering(t *testing.T) *Filter {
	t.Helper()
	f := held(t)
	must(t, f.Ground(t.Context()))
	gen, err := f.generation()
	must(t, err)
	if !f.known(gen) {
		t.Fatalf("generation %d is not remembered", gen)
	}
	return f
}

// What others do to the tables is mended by the next Ground, whatever is remembered.
func TestMemoryIsNoExcuse(t *testing.T) {
	for name, s := range sabotages() {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				f := remembering(t)
				nftool(t, s.do)
				must(t, f.Ground(t.Context()))
				must(t, f.Grounded(t.Context()))
			})
		})
	}
}

// Claims come and go, and the tables stay known to be whole; taken away, they are not.
func TestMemoryIsCarried(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := remembering(t)
		knows := func(want bool, when string) {
			t.Helper()
			gen, err := f.generation()
			must(t, err)
			if f.known(gen) != want {
				t.Errorf("%s: known %v, want %v", when, !want, want)
			}
		}
		for _, c := range three() {
			must(t, f.Drop(t.Context(), somebody(), c))
			knows(true, "dropped")
			created, err := f.Hold(t.Context(), somebody(), c, nil)
			must(t, err)
			if !created {
				t.Errorf("%s: not created", c.Role)
			}
			knows(true, "held")
		}
		for _, c := range three() {
			must(t, f.Drop(t.Context(), somebody(), c))
		}
		must(t, f.Unground(t.Context()))
		knows(false, "taken away")
	})
}

// A memory of something else is none.
func TestMemoryOfSomethingElse(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := remembering(t)
		gen, err := f.generation()
		must(t, err)
		good := string(f.seen(gen))
		for name, text := range map[string]string{
			"empty": "", "torn": good[:len(good)/2], "longer": good + "x", "version": "v0" + good[2:],
			"other generation":  string(f.seen(gen + 1)),
			"half of another":   string(f.seen(gen + 1))[:len(good)-9] + good[len(good)-9:],
			"another boot":      strings.Replace(good, "boot ", "boot 0", 1),
			"another namespace": strings.Replace(good, "namespace ", "namespace 9", 1),
		} {
			must(t, os.WriteFile(f.memory.path, []byte(text), 0o600))
			if f.known(gen) {
				t.Errorf("%s: believed: %q", name, text)
			}
		}
		must(t, os.WriteFile(f.memory.path, []byte(good), 0o600))
		if !f.known(gen) {
			t.Error("the right one is not believed")
		}
		must(t, os.Remove(f.memory.path))
		must(t, os.Mkdir(f.memory.path, 0o700))
		f.note(gen)
		if f.known(gen) {
			t.Error("a directory is believed")
		}
		must(t, f.Ground(t.Context())) // without a memory it looks
	})
}

// TestPlantedMemory has links and pipes where the memories go: nobody waits, nothing is written through them, and all is looked at.
func TestPlantedMemory(t *testing.T) {
	for kind, plant := range map[string]func(path, victim string) error{
		"symbolic link": func(path, victim string) error { return os.Symlink(victim, path) },
		"dangling link": func(path, victim string) error { return os.Symlink(victim+"-to-come", path) },
		"endless":       func(path, _ string) error { return os.Symlink("/dev/zero", path) },
		"hard link":     func(path, victim string) error { return os.Link(victim, path) },
		"pipe":          func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"socket":        func(path, _ string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"folder":        func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(strings.ReplaceAll(kind, " ", "-"), func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				f := remembering(t)
				victim := filepath.Join(filepath.Dir(f.memory.path), "victim")
				must(t, os.WriteFile(victim, []byte("precious"), 0o600))
				for _, path := range f.memory.paths() {
					_ = os.Remove(path) // of a role that has not been, there is none
					must(t, plant(path, victim))
				}
				for range 2 {
					for _, c := range three() {
						_, err := f.Hold(t.Context(), somebody(), c, nil)
						must(t, err)
						must(t, f.Held(t.Context(), somebody(), c))
						must(t, f.Drop(t.Context(), somebody(), c))
					}
					must(t, f.Ground(t.Context()))
				}
				if text, err := os.ReadFile(victim); string(text) != "precious" || err != nil {
					t.Errorf("the other's file has %q, %v", text, err)
				}
				if _, err := os.Lstat(victim + "-to-come"); err == nil {
					t.Error("a file was made at the other end of the link")
				}
			})
		})
	}
}
